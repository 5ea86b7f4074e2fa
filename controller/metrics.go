// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kata-node/kata-node/controller/decide"
)

// Metrics are the figures of the last pass.
type Metrics struct {
	nodes  *prometheus.GaugeVec
	passes prometheus.Counter
	writes prometheus.Counter
	// unreadable counts stored KataConfigs that cannot be decoded.
	unreadable prometheus.Gauge
}

// NewMetrics registers the figures.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		nodes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kata_controller_nodes",
			Help: "Nodes of a KataConfig by state.",
		}, []string{"kataconfig", "state"}),
		passes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kata_controller_passes_total",
			Help: "Passes over the whole cluster.",
		}),
		writes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kata_controller_node_changes_total",
			Help: "Changes to Nodes that were decided.",
		}),
		unreadable: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kata_controller_unreadable_kataconfigs",
			Help: "Stored KataConfigs that cannot be decoded.",
		}),
	}
	for _, c := range []prometheus.Collector{m.nodes, m.passes, m.writes, m.unreadable} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) observe(d decide.Decision) {
	m.passes.Inc()
	m.unreadable.Set(float64(d.Unreadable))
	m.writes.Add(float64(len(d.Changes)))
	m.nodes.Reset()
	for _, s := range d.Statuses {
		for state, count := range map[string]int32{
			"completed":   s.Status.CompletedNodesCount,
			"in_progress": s.Status.InProgressNodesCount,
			"waiting":     s.Status.WaitingNodesCount,
			"failed":      s.Status.FailedNodesCount,
		} {
			m.nodes.WithLabelValues(s.Config.Name, state).Set(float64(count))
		}
	}
}
