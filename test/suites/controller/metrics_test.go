// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// figures gathers the gauges of KataConfigs by the value of their last label.
func (r *recorder) figures(t require.TestingT, name string) map[string]int32 {
	families, err := r.registry.Gather()
	require.NoError(t, err)
	out := map[string]int32{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if labels := m.GetLabel(); family.GetName() == name && m.GetGauge().GetValue() != 0 {
				out[labels[len(labels)-1].GetValue()] = int32(m.GetGauge().GetValue())
			}
		}
	}
	return out
}

func TestMetricsAndEventsSayWhatTheStatusSays(t *testing.T) {
	t.Parallel()
	c, seen, workers := installed(t, "a", "b", "c")
	workers["b"].reports(t, node.PhaseInstalled, fails("the registry answered 500"))
	workers["c"].ready(t, false)
	c.worker(t, "d")
	kc := c.awaitCounts(t, "kata", "1/0/2/1 of 4 NodesFailed")
	assert.Equal(t, []v1.FailedNode{{Name: "b", Error: "pull: the registry answered 500 (AgentError)"}}, kc.Status.FailedNodes)
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		assert.Equal(t, map[string]int32{"completed": 1, "waiting": 2, "failed": 1}, seen.figures(t, "kata_controller_nodes"))
		assert.Equal(t, map[string]int32{"AgentMissing": 1, "NodeNotReady": 1}, seen.figures(t, "kata_controller_waiting_nodes"))
		assert.Equal(t, map[string]int32{"NodesFailed": 1}, seen.figures(t, "kata_controller_kataconfig_condition"))
		events, err := c.kube.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "reason=KataFailed"})
		require.NoError(t, err)
		if assert.Len(t, events.Items, 1) {
			assert.Equal(t, "b", events.Items[0].InvolvedObject.Name)
			assert.Equal(t, kc.Status.FailedNodes[0].Error, events.Items[0].Message)
			assert.Equal(t, int32(1), events.Items[0].Count)
		}
	})

	workers["b"].reports(t, node.PhaseInstalled)
	workers["c"].ready(t, true)
	require.NoError(t, c.kube.CoreV1().Nodes().Delete(t.Context(), "d", metav1.DeleteOptions{}))
	c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
	eventually(t, func(t *assert.CollectT, _ context.Context) {
		assert.Equal(t, map[string]int32{"completed": 3}, seen.figures(t, "kata_controller_nodes"))
		assert.Empty(t, seen.figures(t, "kata_controller_waiting_nodes"))
		assert.Equal(t, map[string]int32{"Completed": 1}, seen.figures(t, "kata_controller_kataconfig_condition"))
	})
}
