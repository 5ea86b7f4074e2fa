// SPDX-License-Identifier: Apache-2.0

package kubelet_test

import (
	"context"
	"io"
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

	"github.com/kata-node/kata-node/test/standin/kubelet"
	"github.com/kata-node/kata-node/test/standin/kubelet/nodestatus"
)

const (
	patience   = 2 * time.Minute
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
