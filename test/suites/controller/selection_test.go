// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func TestNodesThatCanRunNoAgentAreNotSelected(t *testing.T) {
	t.Parallel()
	c := start(t)
	labelled := c.worker(t, "virtual-by-label", "type=virtual-kubelet")
	tainted := c.worker(t, "virtual-by-taint")
	require.NoError(t, attempt{"virtual-by-taint", "", `{"spec":{"taints":[{"key":"virtual-kubelet.io/provider","value":"cloud","effect":"NoSchedule"}]}}`}.by(t.Context(), c.kube))
	windows := c.worker(t, "windows", corev1.LabelOSStable+"=windows")
	infra := c.worker(t, "infra", "node-role.kubernetes.io/infra")
	infra.unlabel(t, "node-role.kubernetes.io/worker")
	linux := c.worker(t, "linux")

	seen, _ := c.run(t, settings())
	c.kataConfig(t, "kata", "{}")
	linux.reports(t, node.PhaseIdle)
	linux.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	for _, w := range []*worker{labelled, tainted, windows, infra} {
		assert.Zero(t, seen.nodeWrites(w.name), w.name)
	}
}

func TestCompactAndSingleNodeClustersAreInstalled(t *testing.T) {
	t.Parallel()
	for name, nodes := range map[string][]string{"single": {"only"}, "compact": {"a", "b", "c"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			seen, _ := c.run(t, settings())
			workers := make([]*worker, 0, len(nodes))
			for _, n := range nodes {
				workers = append(workers, c.worker(t, n, "node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"))
			}
			c.kataConfig(t, "kata", "{}")
			for _, w := range workers {
				w.reports(t, node.PhaseIdle)
				w.installs(t, payloadA)
				// A write is counted once it is answered, which a watch may be ahead of.
				eventually(t, func(t *assert.CollectT, _ context.Context) {
					assert.Equal(t, 3, seen.nodeWrites(w.name), "intent, grant and label")
				})
			}
			kc := c.awaitCounts(t, "kata", map[string]string{"single": "1/0/0/0 of 1 Completed", "compact": "3/0/0/0 of 3 Completed"}[name])
			assert.Empty(t, kc.Status.Waiting)
			c.delete(t, "kata")
			for _, w := range workers {
				w.removes(t)
			}
			c.awaitGone(t, "kata")
		})
	}
}

func TestAnEmptySelectionCompletesAndIsDeletedAtOnce(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	c.kataConfig(t, "kata", "{kataConfigPoolSelector: {matchLabels: {pool: none}}}")
	kc := c.awaitCounts(t, "kata", "0/0/0/0 of 0 NoMatchingNodes")
	assert.True(t, meta.IsStatusConditionTrue(kc.Status.Conditions, v1.ConditionCompleted))
	assert.True(t, meta.IsStatusConditionFalse(kc.Status.Conditions, v1.ConditionInProgress))
	assert.True(t, meta.IsStatusConditionFalse(kc.Status.Conditions, v1.ConditionFailed))
	assert.Equal(t, node.RuntimeClass, kc.Status.RuntimeClassName)
	c.delete(t, "kata")
	c.awaitGone(t, "kata")
	c.awaitRuntimeClass(t, "")
	assert.Zero(t, seen.nodeWrites("w"))
}

func TestANodeThatJoinsOrIsLabelledLaterIsInstalledAndOthersAreNotTouched(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	c.kataConfig(t, "kata", "{kataConfigPoolSelector: {matchLabels: {kata: 'yes'}}}")
	first, other := c.worker(t, "first", "kata=yes"), c.worker(t, "other")
	first.reports(t, node.PhaseIdle)
	other.reports(t, node.PhaseIdle)
	first.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	before := seen.nodeWrites("first")
	joins := c.worker(t, "joins", "kata=yes")
	joins.reports(t, node.PhaseIdle)
	joins.installs(t, payloadA)
	assert.Zero(t, seen.nodeWrites("other"))
	other.label(t, "kata=yes")
	other.installs(t, payloadA)
	c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
	assert.Equal(t, before, seen.nodeWrites("first"))
}

func TestWithoutASelectorEveryWorkerIsInstalled(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	plane := c.worker(t, "control-plane", "node-role.kubernetes.io/control-plane")
	plane.unlabel(t, "node-role.kubernetes.io/worker")
	plane.reports(t, node.PhaseIdle)
	c.kataConfig(t, "kata", "{}")
	for _, name := range []string{"a", "b", "c"} {
		w := c.worker(t, name)
		w.reports(t, node.PhaseIdle)
		w.installs(t, payloadA)
	}
	kc := c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
	assert.True(t, meta.IsStatusConditionTrue(kc.Status.Conditions, v1.ConditionCompleted))
	assert.True(t, meta.IsStatusConditionFalse(kc.Status.Conditions, v1.ConditionInProgress))
	assert.True(t, meta.IsStatusConditionFalse(kc.Status.Conditions, v1.ConditionFailed))
	assert.Zero(t, seen.nodeWrites("control-plane"))
}

func TestDisjointKataConfigsChooseNodesByExpressions(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	blue, green, neither := c.worker(t, "blue", "zone=blue"), c.worker(t, "green", "zone=green"), c.worker(t, "neither", "zone=green", "spared")
	for _, w := range []*worker{blue, green, neither} {
		w.reports(t, node.PhaseIdle)
	}
	c.kataConfig(t, "in", "{kataConfigPoolSelector: {matchExpressions: [{key: zone, operator: In, values: [blue, red]}]}}")
	c.kataConfig(t, "not", "{kataConfigPoolSelector: {matchExpressions: [{key: zone, operator: NotIn, values: [blue]}, {key: spared, operator: DoesNotExist}]}, config: {payloadImage: '"+payloadB+"'}}")
	blue.installs(t, payloadA)
	green.installs(t, payloadB)
	for _, name := range []string{"in", "not"} {
		kc := c.awaitCounts(t, name, "1/0/0/0 of 1 Completed")
		assert.Empty(t, kc.Status.Conflicts)
	}
	assert.Zero(t, seen.nodeWrites("neither"))

	// Either is deleted without the other one.
	c.delete(t, "in")
	blue.removes(t)
	c.awaitGone(t, "in")
	c.awaitRuntimeClass(t, node.ReadyLabel)
	c.awaitCounts(t, "not", "1/0/0/0 of 1 Completed")
}

// The control plane of a hosted cluster is elsewhere: it has workers alone, in node pools, and
// nothing of the machine-config operator. Neither has a Kubernetes that is not OpenShift.
func TestAHostedClusterWithoutMachineConfigPoolsIsInstalled(t *testing.T) {
	t.Parallel()
	c := start(t)
	groups, err := c.kube.Discovery().ServerGroups()
	require.NoError(t, err)
	for _, g := range groups.Groups {
		require.NotEqual(t, "machineconfiguration.openshift.io", g.Name)
	}
	c.run(t, settings())
	c.kataConfig(t, "kata", "{kataConfigPoolSelector: {matchLabels: {hypershift.openshift.io/nodePool: sandboxes}}}")
	for _, name := range []string{"a", "b"} {
		w := c.worker(t, name, "hypershift.openshift.io/nodePool=sandboxes", "node-role.kubernetes.io/sandboxes")
		w.reports(t, node.PhaseIdle)
		w.installs(t, payloadA)
	}
	other := c.worker(t, "other", "hypershift.openshift.io/nodePool=web")
	other.reports(t, node.PhaseIdle)
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")

	// A node pool replaces its nodes: another machine has another name, and comes before the old
	// one goes.
	replacement := c.worker(t, "a2", "hypershift.openshift.io/nodePool=sandboxes")
	replacement.reports(t, node.PhaseIdle)
	replacement.installs(t, payloadA)
	require.NoError(t, c.kube.CoreV1().Nodes().Delete(t.Context(), "a", metav1.DeleteOptions{}))
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
}

func TestPodsAreDrawnToTheFirstReadyNodeWhileOthersAreInstalled(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.run(t, settings())
	c.kataConfig(t, "kata", "{config: {overhead: {podFixed: {cpu: 250m, memory: 350Mi}}}}")
	first, second := c.worker(t, "first"), c.worker(t, "second")
	first.reports(t, node.PhaseIdle)
	first.installs(t, payloadA)
	second.reports(t, node.PhaseIdle)
	second.awaitIntent(t, node.StateInstalled, payloadA)
	second.reports(t, node.PhaseInstalling)
	c.awaitCounts(t, "kata", "1/1/0/0 of 2 Installing")

	kata := node.RuntimeClass
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "early", Namespace: metav1.NamespaceDefault}, Spec: corev1.PodSpec{
		RuntimeClassName: &kata, Containers: []corev1.Container{{Name: "c", Image: "registry.kata.test/none"}},
	}}
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		made, err := c.kube.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		require.NoError(t, err)
		assert.Equal(t, "250m", made.Spec.Overhead.Cpu().String())
		assert.Equal(t, "350Mi", made.Spec.Overhead.Memory().String())
		drawn, err := c.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(made.Spec.NodeSelector).String()})
		if assert.NoError(t, err) && assert.Len(t, drawn.Items, 1) {
			assert.Equal(t, "first", drawn.Items[0].Name)
		}
	})
}
