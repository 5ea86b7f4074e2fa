// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// installed is a cluster with one KataConfig for all workers, each of them Installed and labelled.
func installed(t *testing.T, names ...string) (*cluster, *recorder, map[string]*worker) {
	t.Helper()
	c := start(t)
	seen, workers := c.installed(t, settings(), names...)
	return c, seen, workers
}

func (c *cluster) installed(t *testing.T, s controller.Settings, names ...string) (*recorder, map[string]*worker) {
	t.Helper()
	seen, _ := c.run(t, s)
	c.kataConfig(t, "kata", "{}")
	workers := map[string]*worker{}
	for _, name := range names {
		workers[name] = c.worker(t, name)
		workers[name].reports(t, node.PhaseIdle)
		workers[name].installs(t, payloadA)
	}
	return seen, workers
}

func (w *worker) remove(t *testing.T) {
	t.Helper()
	require.NoError(t, w.cluster.kube.CoreV1().Nodes().Delete(t.Context(), w.name, metav1.DeleteOptions{}))
}

func TestANodeMadeAgainUnderAnotherUIDIsInstalledByItsNewID(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "w")
	w := workers["w"]
	before := w.intent(t)
	w.remove(t)
	c.awaitCounts(t, "kata", "0/0/0/0 of 0 NoMatchingNodes")

	w.register(t)
	w.reports(t, node.PhaseInstalled, func(r *node.Report) { r.IntentID, r.Payload = before.ID, node.Digest(payloadA) })
	w.awaitIntent(t, node.StateInstalled, payloadA)
	assert.NotEqual(t, before.ID, w.intent(t).ID)
	w.reports(t, node.PhaseInstalled)
	w.awaitLabel(t, true)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
}

func TestAnIntentThatVanishedComesBackAndNothingIsTornDown(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "w")
	w := workers["w"]
	before := w.intent(t)
	require.NoError(t, attempt{"w", "", `{"metadata":{"annotations":{"kataconfiguration.openshift.io/intent":null}}}`}.by(t.Context(), c.kube))
	w.awaitIntent(t, node.StateInstalled, payloadA)
	assert.Equal(t, before.ID, w.intent(t).ID)
	w.awaitLabel(t, true)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
}

func TestAKataConfigIsDeletedWhileANodeIsSilent(t *testing.T) {
	t.Parallel()
	c := start(t)
	late := &clock{}
	c.run(t, late.settings())
	c.kataConfig(t, "kata", "{}")
	alive, dead := c.worker(t, "alive"), c.worker(t, "dead")
	for _, w := range []*worker{alive, dead} {
		w.reports(t, node.PhaseIdle)
		w.installs(t, payloadA)
	}
	dead.ready(t, false)
	c.delete(t, "kata")
	alive.removes(t)
	late.turn(t, alive)
	kc := c.awaitCounts(t, "kata", "0/0/0/1 of 1 Removing")
	assert.Equal(t, "dead", kc.Status.FailedNodes[0].Name)
	assert.Contains(t, kc.Status.FailedNodes[0].Error, "which is not Ready (AgentNotReporting)")
	dead.awaitLabel(t, true)

	// The documented way out: the administrator takes the finalizer off. The node is cleaned when
	// it returns.
	resource := c.dynamic.Resource(v1.GroupVersion().WithResource(v1.Resource))
	_, err := resource.Patch(t.Context(), "kata", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	c.awaitGone(t, "kata")
	assert.Equal(t, node.StateAbsent, dead.intent(t).State)
	dead.ready(t, true)
	dead.removes(t)
	assert.Nil(t, dead.intent(t))
}

func TestAnInstallationThatNobodyWantsIsRemoved(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.run(t, settings())
	w := c.worker(t, "back-from-the-dead")
	w.reports(t, node.PhaseInstalled, func(r *node.Report) { r.IntentID, r.Payload = "0123456789abcdef", node.Digest(payloadA) })
	w.removes(t)
	assert.Nil(t, w.intent(t))
}

func TestANodeThatLosesItsLabelIsCleanedWhenItsPodsEnd(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	c.kataConfig(t, "kata", "{kataConfigPoolSelector: {matchLabels: {kata: 'yes'}}}")
	stays, leaves := c.worker(t, "stays", "kata=yes"), c.worker(t, "leaves", "kata=yes")
	// The first that reports goes alone, and of several the first in the order of names.
	for _, w := range []*worker{leaves, stays} {
		w.reports(t, node.PhaseIdle)
	}
	leaves.installs(t, payloadA)
	stays.installs(t, payloadA)
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
	before := seen.nodeWrites("stays")

	leaves.reports(t, node.PhaseInstalled, pods("shop/cart"))
	leaves.unlabel(t, "kata")
	leaves.awaitIntent(t, node.StateAbsent, "")
	leaves.reports(t, node.PhaseBlocked, pods("shop/cart"))
	kc := c.awaitCounts(t, "kata", "1/0/1/0 of 2 Waiting")
	assert.Equal(t, "kata pods are still bound, end them, and cordon a node to which new ones are scheduled: leaves (shop/cart)", kc.Status.Waiting[0].Message)
	leaves.awaitLabel(t, true)

	leaves.removes(t)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	assert.Equal(t, before, seen.nodeWrites("stays"))
}

// While another node of the cluster serves Kata, the scheduler may fill a leaving one again and
// again. The label has to stay: a kubelet that restarts would reject the pods that run there.
func TestANodeWhosePodsNeverEndKeepsItsLabelAndIsNamedUntilTheyDo(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	c.kataConfig(t, "kata", "{kataConfigPoolSelector: {matchLabels: {kata: 'yes'}}}")
	w := c.worker(t, "leaves", "kata=yes")
	w.reports(t, node.PhaseIdle)
	w.installs(t, payloadA)
	w.unlabel(t, "kata")
	w.awaitIntent(t, node.StateAbsent, "")
	before := seen.nodeWrites("leaves")
	for i := range 10 {
		job := fmt.Sprintf("ci/job-%d", i)
		w.reports(t, node.PhaseBlocked, pods(job))
		eventually(t, func(t *assert.CollectT, ctx context.Context) {
			kc, err := c.get(ctx, "kata")
			if assert.NoError(t, err) && assert.Len(t, kc.Status.Waiting, 1) {
				assert.Equal(t, "kata pods are still bound, end them, and cordon a node to which new ones are scheduled: leaves ("+job+")", kc.Status.Waiting[0].Message)
			}
		})
		w.awaitLabel(t, true)
	}
	assert.Equal(t, before, seen.nodeWrites("leaves"))
	require.NoError(t, attempt{"leaves", "", `{"spec":{"unschedulable":true}}`}.by(t.Context(), c.kube))
	w.removes(t)
	assert.Nil(t, w.intent(t))
}

func TestTheSentenceOfAFailedNodeIsInTheStatusUntilItIsMended(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "a", "b")
	broken, garbled := c.worker(t, "c"), c.worker(t, "d")
	broken.reports(t, node.PhaseIdle)
	broken.awaitIntent(t, node.StateInstalled, payloadA)
	broken.reports(t, node.PhaseInstalling, fails("the registry answered 500"))
	garbled.writes(t, `{"version":9}`)
	kc := c.awaitCounts(t, "kata", "2/0/0/2 of 4 NodesFailed")
	assert.Equal(t, []v1.FailedNode{
		{Name: "c", Error: "pull: the registry answered 500 (AgentError)"},
		{Name: "d", Error: "reading report: version 9 is not one that this program speaks (1) (ReportUnreadable)"},
	}, kc.Status.FailedNodes)

	broken.installs(t, payloadA)
	garbled.reports(t, node.PhaseIdle)
	garbled.installs(t, payloadA)
	c.awaitCounts(t, "kata", "4/0/0/0 of 4 Completed")
	workers["a"].awaitLabel(t, true)
}

func TestOfTwoOverlappingKataConfigsTheOlderOwnsTheNodeAndThenHandsItOver(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "w")
	w := workers["w"]
	// Ages count in seconds; the wait is for the API server's clock, which the test cannot turn.
	old, err := c.get(t.Context(), "kata")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return time.Since(old.CreationTimestamp.Time) > 2*time.Second }, patience, 100*time.Millisecond)
	c.kataConfig(t, "younger", "{config: {payloadImage: '"+payloadB+"'}}")
	kc := c.awaitCounts(t, "younger", "0/0/0/0 of 0 OverlappingSelector")
	assert.Equal(t, []v1.Conflict{{KataConfig: "kata", NodesCount: 1, Nodes: []string{"w"}}}, kc.Status.Conflicts)
	assert.Equal(t, payloadA, w.intent(t).Payload)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		kc, err := c.get(ctx, "kata")
		require.NoError(t, err)
		assert.Equal(t, []v1.Conflict{{KataConfig: "younger", Owns: true, NodesCount: 1, Nodes: []string{"w"}}}, kc.Status.Conflicts)
	})

	c.delete(t, "kata")
	c.awaitGone(t, "kata")
	w.awaitIntent(t, node.StateInstalled, payloadB)
	w.awaitLabel(t, true)
	w.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "younger", "1/0/0/0 of 1 Completed")
	c.awaitRuntimeClass(t, node.ReadyLabel)
}

func TestARuntimeClassOfSomebodyElseIsRefusedByNameAndLeftAlone(t *testing.T) {
	t.Parallel()
	c := start(t)
	foreign := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata-oc"}, Handler: "kata"}
	_, err := c.kube.NodeV1().RuntimeClasses().Create(t.Context(), foreign, metav1.CreateOptions{})
	require.NoError(t, err)
	c.run(t, settings())
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	c.kataConfig(t, "kata", "{}")
	kc := c.awaitCounts(t, "kata", "0/0/1/0 of 1 RuntimeClassConflict")
	assert.Contains(t, kc.Status.Conditions[2].Message, `RuntimeClass "kata-oc" exists and was not made by this controller`)
	assert.Nil(t, w.intent(t))

	require.NoError(t, c.kube.NodeV1().RuntimeClasses().Delete(t.Context(), "kata-oc", metav1.DeleteOptions{}))
	c.awaitRuntimeClass(t, node.ReadyLabel)
	w.installs(t, payloadA)
}

func TestTheRuntimeClassIsRepaired(t *testing.T) {
	t.Parallel()
	c, _, _ := installed(t, "w")
	kc := c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	assert.Equal(t, node.RuntimeClass, kc.Status.RuntimeClassName)
	classes := c.kube.NodeV1().RuntimeClasses()
	made, err := classes.Get(t.Context(), node.RuntimeClass, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, node.Handler, made.Handler)
	assert.Equal(t, "350Mi", made.Overhead.PodFixed.Memory().String())
	for _, drift := range []func(*nodev1.RuntimeClass){
		func(class *nodev1.RuntimeClass) {
			class.Scheduling.NodeSelector = map[string]string{"anything": "else"}
		},
		func(class *nodev1.RuntimeClass) { class.Scheduling = nil },
		func(class *nodev1.RuntimeClass) { class.Overhead = nil },
		func(class *nodev1.RuntimeClass) {
			class.Overhead.PodFixed[corev1.ResourceMemory] = resource.MustParse("1Mi")
		},
		func(class *nodev1.RuntimeClass) {
			class.Scheduling.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		},
	} {
		class, err := classes.Get(t.Context(), node.RuntimeClass, metav1.GetOptions{})
		require.NoError(t, err)
		drift(class)
		edited, err := classes.Update(t.Context(), class, metav1.UpdateOptions{})
		require.NoError(t, err)
		eventually(t, func(t *assert.CollectT, ctx context.Context) {
			class, err := classes.Get(ctx, node.RuntimeClass, metav1.GetOptions{})
			if assert.NoError(t, err) && assert.NotEqual(t, edited.ResourceVersion, class.ResourceVersion) {
				assert.Equal(t, made.Scheduling, class.Scheduling)
				assert.Equal(t, made.Overhead, class.Overhead)
			}
		})
	}
	require.NoError(t, classes.Delete(t.Context(), node.RuntimeClass, metav1.DeleteOptions{}))
	c.awaitRuntimeClass(t, node.ReadyLabel)
}

func TestPausedWritesNoNodeUntilItIsNot(t *testing.T) {
	t.Parallel()
	c, seen, _ := installed(t, "a")
	c.kataConfig(t, "kata", "{config: {paused: true, payloadImage: '"+payloadB+"'}}")
	c.awaitCounts(t, "kata", "0/0/1/0 of 1 Paused")
	before := seen.nodeWrites("a")
	late := c.worker(t, "late")
	late.reports(t, node.PhaseIdle)
	c.awaitCounts(t, "kata", "0/0/2/0 of 2 Paused")
	assert.Equal(t, before, seen.nodeWrites("a"))
	assert.Zero(t, seen.nodeWrites("late"))
	c.delete(t, "kata")
	eventually(t, func(t *assert.CollectT, _ context.Context) { assert.Greater(t, seen.nodeWrites("a"), before) })
}

func TestNotReadyAndCordonedNodesWaitWithoutFailing(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "a")
	b := c.worker(t, "b")
	require.NoError(t, attempt{"b", "", `{"spec":{"unschedulable":true}}`}.by(t.Context(), c.kube))
	b.reports(t, node.PhaseIdle)
	workers["a"].ready(t, false)
	kc := c.awaitCounts(t, "kata", "0/0/2/0 of 2 Waiting")
	assert.Equal(t, "NodeCordoned", kc.Status.Waiting[0].Reason)
	assert.Equal(t, "NodeNotReady", kc.Status.Waiting[1].Reason)
	workers["a"].ready(t, true)
	require.NoError(t, attempt{"b", "", `{"spec":{"unschedulable":null}}`}.by(t.Context(), c.kube))
	b.installs(t, payloadA)
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
}

func TestANodeIsNotCompleteUntilItsAgentHasReportedTheNewBoot(t *testing.T) {
	t.Parallel()
	c := start(t)
	late := &clock{}
	seen, _ := c.run(t, late.settings())
	c.kataConfig(t, "kata", "{}")
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	w.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	before := seen.nodeWrites("w")

	const again = "99999999-2222-3333-4444-555555555555"
	require.NoError(t, w.patchStatus(t.Context(), map[string]any{"status": map[string]any{"nodeInfo": map[string]any{"bootID": again}}}))
	c.awaitCounts(t, "kata", "0/1/0/0 of 1 Installing")
	late.turn(t, w)
	kc := c.awaitCounts(t, "kata", "0/0/0/1 of 1 NodesFailed")
	assert.Contains(t, kc.Status.FailedNodes[0].Error, "no report since the node's last boot")
	w.reports(t, node.PhaseInstalled, func(r *node.Report) { r.BootID = again })
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	w.awaitLabel(t, true)
	assert.Equal(t, before, seen.nodeWrites("w"), "a reboot is nobody's business but the node's")
}

func TestAnAgentThatDoesNotAnswerIsNamedAtTheDeadline(t *testing.T) {
	t.Parallel()
	c := start(t)
	late := &clock{}
	c.run(t, late.settings())
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	c.kataConfig(t, "kata", "{}")
	w.awaitIntent(t, node.StateInstalled, payloadA)
	late.turn(t, w)
	kc := c.awaitCounts(t, "kata", "0/0/0/1 of 1 NodesFailed")
	assert.Contains(t, kc.Status.FailedNodes[0].Error, "look at kata-agent.service on the node (AgentNotReporting)")
	w.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
}

// An agent writes nothing while its node is at rest. One that has died there is found by a ping.
func TestAnAgentThatDiesAfterItsInstallationIsNamedAndCountsAgainWhenItAnswers(t *testing.T) {
	t.Parallel()
	c := start(t)
	late := &clock{}
	s := late.settings()
	s.PingInterval = s.AgentDeadline
	seen, workers := c.installed(t, s, "alive", "dead")
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
	alive, dead := workers["alive"], workers["dead"]
	written, pinged := seen.nodeWrites("dead"), dead.intent(t).Ping
	late.turn(t, alive)
	for _, w := range workers {
		w.awaitPing(t, pinged)
	}
	alive.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")

	late.turn(t, alive)
	kc := c.awaitCounts(t, "kata", "1/0/0/1 of 2 NodesFailed")
	require.Len(t, kc.Status.FailedNodes, 1)
	assert.Equal(t, "dead", kc.Status.FailedNodes[0].Name)
	assert.Contains(t, kc.Status.FailedNodes[0].Error, "look at kata-agent.service on the node (AgentNotReporting)")
	assert.Equal(t, written+1, seen.nodeWrites("dead"), "one ping is enough")
	dead.awaitLabel(t, true)

	for _, w := range workers {
		w.reports(t, node.PhaseInstalled)
	}
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
}

// awaitPing waits for a ping later than one that was seen.
func (w *worker) awaitPing(t *testing.T, than time.Time) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		n, err := w.object(ctx)
		require.NoError(t, err)
		intent, err := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
		if assert.NoError(t, err) {
			assert.True(t, intent.Ping.After(than), "%s", intent.Ping)
		}
	})
}
