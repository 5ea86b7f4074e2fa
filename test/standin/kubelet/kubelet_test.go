// SPDX-License-Identifier: Apache-2.0

package kubelet_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

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

func TestAPodGoesThoughItsSandboxCannotBeRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.registered()
	b.create("p")
	b.phase("p", corev1.PodRunning)
	b.runtime.change(func() { b.runtime.kept = errors.New("could not retrieve container information") })
	b.terminate("p")
	b.eventually("the pod is gone", func() bool { return b.pod("p") == nil })
	assert.Equal(t, 1, b.runtime.total())
	assert.Empty(t, b.runtime.ready("uid-of-p"))
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
