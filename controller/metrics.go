// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kata-node/kata-node/controller/apply"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/internal/collectors"
)

// Metrics are the figures of the last pass, and counters.
type Metrics struct {
	// pass has the figures of the last one.
	pass   collectors.Group
	leader prometheus.Gauge
	passes prometheus.Counter
	// incomplete counts passes after which something is left to write.
	incomplete prometheus.Counter
	duration   prometheus.Histogram
	writes     *prometheus.CounterVec
	// events counts them by their result, and waiting has those that have none yet.
	events  *prometheus.CounterVec
	waiting prometheus.Gauge
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
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kata_controller_leader",
			Help: "1 while this instance leads, 0 while it stands by.",
		}),
		passes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kata_controller_passes_total",
			Help: "Passes over the whole cluster.",
		}),
		incomplete: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kata_controller_incomplete_passes_total",
			Help: "Passes in which a read or a write failed for another reason than a conflict.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "kata_controller_pass_duration_seconds",
			Help:    "Duration of a pass with all its writes.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300},
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kata_controller_node_writes_total",
			Help: "Writes to Nodes by result: success, conflict or error.",
		}, []string{"result"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kata_controller_events_total",
			Help: "Events of Nodes and KataConfigs by result: success, error or dropped.",
		}, []string{"result"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kata_controller_waiting_events",
			Help: "Events that wait to be sent.",
		}),
	}
	for _, result := range []string{resultSuccess, resultConflict, resultError} {
		m.writes.WithLabelValues(result)
	}
	for _, result := range []apply.EventResult{apply.SentEvent, apply.RefusedEvent, apply.DroppedEvent} {
		m.events.WithLabelValues(string(result))
	}
	m.pass.Replace(snapshotOf(decide.Decision{})...)
	for _, c := range []prometheus.Collector{&m.pass, m.leader, m.passes, m.incomplete, m.duration, m.writes, m.events, m.waiting} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// Leads records whether this instance leads.
func (m *Metrics) Leads(leads bool) {
	if leads {
		m.leader.Set(1)
		return
	}
	m.leader.Set(0)
}

// Observe takes the figures of a pass.
func (m *Metrics) Observe(d decide.Decision) {
	m.passes.Inc()
	m.pass.Replace(snapshotOf(d)...)
}

// Passed records the end of a pass.
func (m *Metrics) Passed(took time.Duration, err error) {
	m.duration.Observe(took.Seconds())
	if err != nil && !outdated(err) {
		m.incomplete.Inc()
	}
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

// EventEnded implements apply.EventMetrics.
func (m *Metrics) EventEnded(result apply.EventResult) {
	m.events.WithLabelValues(string(result)).Inc()
}

// EventsWait implements apply.EventMetrics.
func (m *Metrics) EventsWait(count int) { m.waiting.Set(float64(count)) }
