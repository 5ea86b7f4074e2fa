// SPDX-License-Identifier: Apache-2.0

package kubelet_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"github.com/kata-node/kata-node/test/kubelet"
	"github.com/kata-node/kata-node/test/kubelet/nodestatus"
)

const (
	patience   = 20 * time.Second
	tick       = 5 * time.Millisecond
	readyLabel = "node-restriction.kubernetes.io/kata-oc"
)

// bench is one node: its API server, its runtime and whatever its kubelets said.
type bench struct {
	*testing.T
	api        *fake.Clientset
	runtime    *runtime
	events     *record.FakeRecorder
	rejections string
}

func newBench(t *testing.T, handlers ...string) *bench {
	t.Helper()
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata-oc"}, Handler: "kata-oc"}
	return &bench{
		T: t, api: fake.NewClientset(class), runtime: newRuntime(handlers...),
		events: record.NewFakeRecorder(1000), rejections: filepath.Join(t.TempDir(), "rejections"),
	}
}

// start runs a kubelet until stop is called or the test ends.
func (b *bench) start() (stop func()) {
	b.Helper()
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	k := kubelet.New(kubelet.Options{
		Machine: nodestatus.Machine{Name: "n1", IP: "10.0.0.1", BootID: "boot-1"},
		Client:  b.api, Heartbeat: b.api, Runtime: b.runtime, Events: b.events, Log: quiet, Rejections: b.rejections,
		Periods: kubelet.Periods{
			Relist: tick, Housekeeping: 2 * tick, RuntimeCheck: tick, NodeStatus: tick, NodeReport: time.Minute,
			Retry: 10 * tick, Resync: time.Minute, Startup: tick,
		},
	})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	var stopped bool
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			assert.NoError(b, <-done)
		}
	}
	b.Cleanup(stop)
	return stop
}

func (b *bench) eventually(what string, holds func() bool) {
	b.Helper()
	require.Eventually(b, holds, patience, tick, what)
}

func (b *bench) node() *corev1.Node {
	node, err := b.api.CoreV1().Nodes().Get(b.Context(), "n1", metav1.GetOptions{})
	if err != nil {
		return &corev1.Node{}
	}
	return node
}

// label changes the Node's labels as an administrator or a controller would.
func (b *bench) label(patch string) {
	b.Helper()
	_, err := b.api.CoreV1().Nodes().Patch(b.Context(), "n1", types.MergePatchType, []byte(`{"metadata":{"labels":{`+patch+`}}}`), metav1.PatchOptions{})
	require.NoError(b, err)
}

func (b *bench) create(name string, change ...func(*corev1.Pod)) {
	b.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("uid-of-" + name)},
		Spec:       corev1.PodSpec{NodeName: "n1", RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{{Name: "c"}}},
	}
	for _, c := range change {
		c(pod)
	}
	_, err := b.api.CoreV1().Pods("default").Create(b.Context(), pod, metav1.CreateOptions{})
	require.NoError(b, err)
}

func kata(pod *corev1.Pod) {
	pod.Spec.RuntimeClassName = new("kata-oc")
	pod.Spec.NodeSelector = map[string]string{readyLabel: "true"}
}

func (b *bench) pod(name string) *corev1.Pod {
	pod, err := b.api.CoreV1().Pods("default").Get(b.Context(), name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return pod
}

func (b *bench) phase(name string, want corev1.PodPhase) {
	b.Helper()
	b.eventually(name+" reaches phase "+string(want), func() bool { p := b.pod(name); return p != nil && p.Status.Phase == want })
}

// terminate marks a pod as being deleted; the fake API server has no grace periods of its own.
func (b *bench) terminate(name string) {
	b.Helper()
	pod := b.pod(name)
	pod.DeletionTimestamp = new(metav1.Now())
	_, err := b.api.CoreV1().Pods("default").Update(b.Context(), pod, metav1.UpdateOptions{})
	require.NoError(b, err)
}

func (b *bench) registered() {
	b.Helper()
	b.eventually("the node is Ready", func() bool { return nodestatus.Ready(b.node()) })
}

func (b *bench) handlers() (out []string) {
	for _, h := range b.node().Status.RuntimeHandlers {
		out = append(out, h.Name)
	}
	return out
}

func (b *bench) heard(part string) bool {
	for {
		select {
		case event := <-b.events.Events:
			if strings.Contains(event, part) {
				return true
			}
		default:
			return false
		}
	}
}

func TestTheNodeSaysWhatTheRuntimeSays(t *testing.T) {
	t.Parallel()
	b := newBench(t, "crun")
	b.start()
	b.registered()
	assert.Equal(t, []string{"", "crun"}, b.handlers())
	b.runtime.change(func() { b.runtime.handlers = append(b.runtime.handlers, "kata-oc") })
	b.eventually("the new handler is on the node", func() bool { return len(b.handlers()) == 3 })
}

func TestAConditionOfAnotherWriterSurvivesTheKubeletsPatches(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.registered()
	_, err := b.api.CoreV1().Nodes().Patch(t.Context(), "n1", types.StrategicMergePatchType,
		[]byte(`{"status":{"conditions":[{"type":"KataRuntimeReady","status":"True"}]}}`), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
	b.runtime.change(func() { b.runtime.handlers = append(b.runtime.handlers, "kata-oc") })
	b.eventually("the kubelet patches", func() bool { return len(b.handlers()) == 2 })
	assert.Contains(t, b.node().Status.Conditions, corev1.NodeCondition{Type: "KataRuntimeReady", Status: corev1.ConditionTrue})
}

func TestANodeDeletedUnderARunningKubeletComesBackOnlyWithItsRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stop := b.start()
	b.registered()
	b.create("p")
	b.phase("p", corev1.PodRunning)
	require.NoError(t, b.api.CoreV1().Nodes().Delete(t.Context(), "n1", metav1.DeleteOptions{}))
	b.runtime.change(func() { b.runtime.handlers = append(b.runtime.handlers, "kata-oc") })
	b.create("q") // runs although the Node is away: proof that the kubelet went on for a while
	b.phase("q", corev1.PodRunning)
	assert.Empty(t, b.node().Name)
	stop()
	b.start()
	b.registered()
	assert.Len(t, b.runtime.ready("uid-of-p"), 1)
}

func TestAPodRunsUnderTheHandlerOfItsRuntimeClass(t *testing.T) {
	t.Parallel()
	b := newBench(t, "kata-oc")
	b.start()
	b.registered()
	b.label(`"` + readyLabel + `":"true"`)
	b.create("vm", kata)
	b.create("plain")
	b.phase("vm", corev1.PodRunning)
	b.phase("plain", corev1.PodRunning)
	for id := range b.runtime.ready("uid-of-vm") {
		assert.Equal(t, "kata-oc", b.runtime.ran[id])
	}
	for id := range b.runtime.ready("uid-of-plain") {
		assert.Empty(t, b.runtime.ran[id])
	}
}

func TestAPodWaitsWithTheRuntimesSentenceUntilItsHandlerIsThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.registered()
	b.label(`"` + readyLabel + `":"true"`)
	b.create("vm", kata)
	b.eventually("an event says why", func() bool {
		return b.heard("FailedCreatePodSandBox Failed to create pod sandbox: no runtime handler kata-oc")
	})
	b.eventually("so does the pod", func() bool {
		containers := b.pod("vm").Status.ContainerStatuses
		return len(containers) == 1 && containers[0].State.Waiting != nil && strings.Contains(containers[0].State.Waiting.Message, "no runtime handler")
	})
	assert.Equal(t, corev1.PodPending, b.pod("vm").Status.Phase)
	b.runtime.change(func() { b.runtime.handlers = append(b.runtime.handlers, "kata-oc") })
	b.phase("vm", corev1.PodRunning)
}

func TestADeletedPodGoesAfterItsSandbox(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.registered()
	b.create("p")
	b.phase("p", corev1.PodRunning)
	b.runtime.change(func() { b.runtime.stuck = errors.New("the VM does not answer") })
	b.terminate("p")
	assert.Never(t, func() bool { return b.pod("p") == nil }, 40*tick, tick, "a pod whose sandbox does not stop stays Terminating")
	b.runtime.change(func() { b.runtime.stuck = nil })
	b.eventually("the pod is gone", func() bool { return b.pod("p") == nil })
	assert.Zero(t, b.runtime.total())
}

func TestASandboxThatDiedIsReplacedByTheNextAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.registered()
	b.create("p")
	b.phase("p", corev1.PodRunning)
	b.runtime.change(func() { b.runtime.kill("sandbox-1") })
	b.eventually("a second sandbox", func() bool { return b.runtime.ready("uid-of-p")["sandbox-2"] == 1 })
	b.eventually("the dead one is removed", func() bool { return b.runtime.total() == 1 })
}

func TestASandboxNobodyAskedForIsRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.registered()
	b.create("p")
	b.phase("p", corev1.PodRunning)
	b.runtime.plant("proof", "proof")
	b.eventually("the planted sandbox is gone", func() bool { return b.runtime.total() == 1 })
	assert.Len(t, b.runtime.ready("uid-of-p"), 1)
}

func TestSandboxesAreLeftAloneBeforePodsAreKnown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.PrependReactor("create", "nodes", refuse)
	b.runtime.plant("uid-of-p", "p")
	stop := b.start()
	assert.Never(t, func() bool { return b.runtime.total() == 0 }, 40*tick, tick)
	stop()
	assert.Equal(t, 1, b.runtime.total())
}

func TestARestartedKubeletKeepsSandboxesOfItsPods(t *testing.T) {
	t.Parallel()
	b := newBench(t, "kata-oc")
	stop := b.start()
	b.registered()
	b.label(`"` + readyLabel + `":"true"`)
	b.create("vm", kata)
	b.phase("vm", corev1.PodRunning)
	stop()
	b.runtime.plant("stranger", "stranger")
	b.start()
	b.eventually("the stranger is gone, so housekeeping ran", func() bool { return len(b.runtime.ready("stranger")) == 0 })
	assert.Equal(t, map[string]uint32{"sandbox-1": 0}, b.runtime.ready("uid-of-vm"))
	assert.NoFileExists(t, b.rejections)
}

func TestALabelTakenFromARunningNodeKillsThePodAtTheNextStartOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, "kata-oc")
	stop := b.start()
	b.registered()
	b.label(`"` + readyLabel + `":"true"`)
	b.create("vm", kata)
	b.phase("vm", corev1.PodRunning)
	b.label(`"` + readyLabel + `":null`)
	b.runtime.plant("stranger", "stranger")
	b.eventually("housekeeping runs", func() bool { return len(b.runtime.ready("stranger")) == 0 })
	require.Len(t, b.runtime.ready("uid-of-vm"), 1)
	stop()
	b.start()
	b.phase("vm", corev1.PodFailed)
	b.eventually("its VM is gone", func() bool { return b.runtime.total() == 0 })
	assert.Equal(t, "NodeAffinity", b.pod("vm").Status.Reason)
	assert.True(t, b.heard("NodeAffinity"))
	list, err := os.ReadFile(b.rejections)
	require.NoError(t, err)
	assert.Contains(t, string(list), `"phase":"Running"`)
}

func TestARejectedPodCanBeDeleted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.registered()
	b.create("vm", kata)
	b.phase("vm", corev1.PodFailed)
	b.terminate("vm")
	b.eventually("the pod is gone", func() bool { return b.pod("vm") == nil })
}

func TestAfterARebootBoundPodsGetNewSandboxes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stop := b.start()
	b.registered()
	b.create("p")
	b.phase("p", corev1.PodRunning)
	stop()
	b.runtime.change(func() { b.runtime.sandboxes = nil })
	b.start()
	b.eventually("a new sandbox", func() bool { return b.runtime.total() == 1 && len(b.runtime.ready("uid-of-p")) == 1 })
}
