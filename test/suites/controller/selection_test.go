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
