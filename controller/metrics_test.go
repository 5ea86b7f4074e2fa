// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller"
	"github.com/kata-node/kata-node/controller/apply"
	"github.com/kata-node/kata-node/controller/decide"
)

func TestAScrapeNeverSeesAPassHalfNoted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	metrics, err := controller.NewMetrics(registry)
	require.NoError(t, err)
	decision := func(completed int32) decide.Decision {
		return decide.Decision{Statuses: []decide.Status{{
			Config: &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: "c"}},
			Status: v1.KataConfigStatus{CompletedNodesCount: completed, FailedNodesCount: 7 - completed},
		}}}
	}
	metrics.Observe(decision(0))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range int32(20_000) {
			metrics.Observe(decision(i % 8))
		}
	}()
	for scraping := true; scraping; {
		select {
		case <-done:
			scraping = false
		default:
		}
		require.InDelta(t, 7, scraped(t, registry, "kata_controller_nodes"), 0)
	}
	metrics.Observe(decide.Decision{Unreadable: 2})
	assert.Zero(t, scraped(t, registry, "kata_controller_nodes"), "a KataConfig that is deleted has no nodes")
	assert.InDelta(t, 2, scraped(t, registry, "kata_controller_unreadable_kataconfigs"), 0)
}

func TestWritesAreCountedByTheirResult(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	metrics, err := controller.NewMetrics(registry)
	require.NoError(t, err)
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "nodes"}, "w", errors.New("changed"))
	for _, err := range []error{nil, nil, nil, fmt.Errorf("writing node: %w", conflict), errors.New("refused"), errors.New("refused")} {
		metrics.Wrote(err)
	}
	counts := map[string]float64{}
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if family.GetName() == "kata_controller_node_writes_total" {
					counts[label.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
	}
	assert.Equal(t, map[string]float64{"success": 3, "conflict": 1, "error": 2}, counts)
}

func TestMetricsSayWhatTheStatusSays(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	metrics, err := controller.NewMetrics(registry)
	require.NoError(t, err)
	metrics.Leads(true)
	metrics.Observe(decide.Decision{CatalogProblem: true, Unreadable: 1, Statuses: []decide.Status{{
		Config: &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: "c"}},
		Status: v1.KataConfigStatus{
			CompletedNodesCount: 4, InProgressNodesCount: 3, WaitingNodesCount: 2, FailedNodesCount: 1,
			Waiting:    []v1.WaitingNodes{{Reason: "AgentMissing", Nodes: 2}},
			Conditions: []metav1.Condition{{Type: v1.ConditionCompleted, Status: metav1.ConditionFalse, Reason: "NodesFailed"}, {Type: v1.ConditionFailed, Status: metav1.ConditionTrue, Reason: "NodesFailed"}},
		},
	}}})
	for _, err := range []error{nil, errors.New("refused"), apierrors.NewConflict(schema.GroupResource{Resource: "nodes"}, "w", errors.New("changed"))} {
		metrics.Passed(time.Second, err)
	}
	for _, result := range []apply.EventResult{apply.SentEvent, apply.DroppedEvent, apply.SentEvent} {
		metrics.EventEnded(result)
	}
	metrics.EventsWait(7)
	families, err := registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems, "names and help texts follow Prometheus' conventions")
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	assert.Equal(t, map[string]float64{
		"kata_controller_nodes c completed": 4, "kata_controller_nodes c in_progress": 3, "kata_controller_nodes c waiting": 2, "kata_controller_nodes c failed": 1,
		"kata_controller_waiting_nodes c AgentMissing":                           2,
		"kata_controller_kataconfig_condition KataStatusCompleted c NodesFailed": 0,
		"kata_controller_kataconfig_condition KataStatusFailed c NodesFailed":    1,
		"kata_controller_unreadable_kataconfigs":                                 1,
		"kata_controller_catalog_unreadable":                                     1,
		"kata_controller_leader":                                                 1,
		"kata_controller_passes_total":                                           1,
		"kata_controller_incomplete_passes_total":                                1,
		"kata_controller_pass_duration_seconds":                                  3,
		"kata_controller_node_writes_total success":                              0,
		"kata_controller_node_writes_total conflict":                             0,
		"kata_controller_node_writes_total error":                                0,
		"kata_controller_events_total success":                                   2,
		"kata_controller_events_total error":                                     0,
		"kata_controller_events_total dropped":                                   1,
		"kata_controller_waiting_events":                                         7,
	}, values)
}

// scraped is the sum of a gauge's values.
func scraped(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
