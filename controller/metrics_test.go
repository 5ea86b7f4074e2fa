// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller"
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
				counts[label.GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	assert.Equal(t, map[string]float64{"success": 3, "conflict": 1, "error": 2}, counts)
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
