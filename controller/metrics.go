// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kata-node/kata-node/controller/decide"
)

// Metrics are the figures of the last pass, and counters.
type Metrics struct {
	gauges gauges
	passes prometheus.Counter
	writes *prometheus.CounterVec
}

// What became of a write to a Node.
const (
	resultSuccess = "success"
	// resultConflict is a Node that changed, or was deleted, after it was read: the next pass
	// knows.
	resultConflict = "conflict"
	resultError    = "error"
)

// NewMetrics registers the figures.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		passes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kata_controller_passes_total",
			Help: "Passes over the whole cluster.",
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kata_controller_node_writes_total",
			Help: "Writes to Nodes by result: success, conflict or error.",
		}, []string{"result"}),
	}
	for _, result := range []string{resultSuccess, resultConflict, resultError} {
		m.writes.WithLabelValues(result)
	}
	m.gauges.last.Store(newSnapshot())
	for _, c := range []prometheus.Collector{&m.gauges, m.passes, m.writes} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// Observe takes the figures of a pass.
func (m *Metrics) Observe(d decide.Decision) {
	m.passes.Inc()
	s := newSnapshot()
	s.unreadable.Set(float64(d.Unreadable))
	if d.CatalogProblem {
		s.catalog.Set(1)
	}
	for _, status := range d.Statuses {
		for state, count := range map[string]int32{
			"completed":   status.Status.CompletedNodesCount,
			"in_progress": status.Status.InProgressNodesCount,
			"waiting":     status.Status.WaitingNodesCount,
			"failed":      status.Status.FailedNodesCount,
		} {
			s.nodes.WithLabelValues(status.Config.Name, state).Set(float64(count))
		}
	}
	m.gauges.last.Store(s)
}

// Wrote counts a write to a Node.
func (m *Metrics) Wrote(err error) {
	result := resultSuccess
	switch {
	case err == nil:
	case outdated(err):
		result = resultConflict
	default:
		result = resultError
	}
	m.writes.WithLabelValues(result).Inc()
}

// gauges collects from the snapshot of one pass: no scrape sees a pass half noted, or a KataConfig
// without its nodes.
type gauges struct {
	last atomic.Pointer[snapshot]
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(into chan<- *prometheus.Desc) { g.last.Load().describe(into) }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(into chan<- prometheus.Metric) { g.last.Load().collect(into) }

// snapshot is what one pass found. It is not changed once it can be collected.
type snapshot struct {
	nodes *prometheus.GaugeVec
	// unreadable counts stored KataConfigs that cannot be decoded.
	unreadable prometheus.Gauge
	// catalog is 1 while the present catalogue cannot be used.
	catalog prometheus.Gauge
}

func newSnapshot() *snapshot {
	return &snapshot{
		nodes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kata_controller_nodes",
			Help: "Nodes of a KataConfig by state.",
		}, []string{"kataconfig", "state"}),
		unreadable: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kata_controller_unreadable_kataconfigs",
			Help: "Stored KataConfigs that cannot be decoded.",
		}),
		catalog: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kata_controller_catalog_unreadable",
			Help: "1 while the ConfigMap of the catalogue has one that cannot be used.",
		}),
	}
}

func (s *snapshot) describe(into chan<- *prometheus.Desc) {
	s.nodes.Describe(into)
	s.unreadable.Describe(into)
	s.catalog.Describe(into)
}

func (s *snapshot) collect(into chan<- prometheus.Metric) {
	s.nodes.Collect(into)
	s.unreadable.Collect(into)
	s.catalog.Collect(into)
}
