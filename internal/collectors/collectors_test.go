// SPDX-License-Identifier: Apache-2.0

package collectors_test

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/internal/collectors"
)

// figures are two gauges with one value for each of some nodes.
func figures(value float64, nodes ...string) []prometheus.Collector {
	var all []prometheus.Collector
	for _, name := range []string{"first", "second"} {
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "a figure"}, []string{"node"})
		for _, n := range nodes {
			vec.WithLabelValues(n).Set(value)
		}
		all = append(all, vec)
	}
	return all
}

// values are what a scrape finds, by metric and node.
func values(t *testing.T, from prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out[f.GetName()+" of "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return out
}

func TestFiguresAreThoseOfTheLastGroup(t *testing.T) {
	t.Parallel()
	var g collectors.Group
	g.Replace(figures(1, "a", "b")...)
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(&g))
	assert.Equal(t, map[string]float64{"first of a": 1, "first of b": 1, "second of a": 1, "second of b": 1}, values(t, registry))
	g.Replace(figures(2, "b")...)
	assert.Equal(t, map[string]float64{"first of b": 2, "second of b": 2}, values(t, registry), "nothing is left of what is not there any more")
}

func TestNoScrapeSeesHalfOfAGroup(t *testing.T) {
	t.Parallel()
	var g collectors.Group
	g.Replace(figures(0, "a")...)
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(&g))
	var replacing sync.WaitGroup
	replacing.Go(func() {
		for i := range 200 {
			g.Replace(figures(float64(i), "a")...)
		}
	})
	for range 50 {
		seen := values(t, registry)
		assert.InDelta(t, seen["first of a"], seen["second of a"], 0)
	}
	replacing.Wait()
}
