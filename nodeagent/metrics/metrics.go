// SPDX-License-Identifier: Apache-2.0

// Package metrics turns what the agent observes, decides and does into figures for Prometheus. A
// scrape reads what was noted last: it never makes the agent observe its host.
package metrics

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/internal/collectors"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// Metrics are the figures of an agent since its start.
type Metrics struct {
	observed, reported, working, pulled collectors.Group
	steps, failures                     *prometheus.CounterVec
	restarts                            prometheus.Counter

	mu sync.Mutex
	// step is what is carried out, nil while nothing is; progress is that of its pull.
	step     *plan.Step
	progress host.Progress
}

// What became of a step.
const (
	resultSuccess = "success"
	resultError   = "error"
)

// New registers the figures.
func New(registry prometheus.Registerer, version string) (*Metrics, error) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "kata_node_agent_build_info",
		Help:        "1, with the version of this program.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m := &Metrics{
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kata_node_agent_steps_total",
			Help: "Steps that were carried out, by result: success or error.",
		}, []string{"step", "result"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kata_node_agent_errors_total",
			Help: "Steps that failed, by the reason that the report gives.",
		}, []string{"reason"}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kata_node_agent_crio_restarts_total",
			Help: "Restarts of CRI-O by the agent.",
		}),
	}
	m.observed.Replace(observation(plan.Facts{}, time.Time{})...)
	m.reported.Replace(standing(node.Report{})...)
	m.working.Replace(work(nil, host.Progress{})...)
	m.pulled.Replace(lastPull(nil)...)
	for _, c := range []prometheus.Collector{&m.observed, &m.reported, &m.working, &m.pulled, m.steps, m.failures, m.restarts, build} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// Observed notes the facts of a look at the host.
func (m *Metrics) Observed(f plan.Facts, at time.Time) { m.observed.Replace(observation(f, at)...) }

// Reported notes what is said of the node.
func (m *Metrics) Reported(r node.Report) { m.reported.Replace(standing(r)...) }

// Started notes the step that is carried out from now on.
func (m *Metrics) Started(s plan.Step) { m.work(&s, host.Progress{}) }

// Progressed notes how far a pull is.
func (m *Metrics) Progressed(p host.Progress) {
	m.mu.Lock()
	step := m.step
	m.mu.Unlock()
	if step != nil {
		m.work(step, p)
	}
}

func (m *Metrics) work(s *plan.Step, p host.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.step, m.progress = s, p
	m.working.Replace(work(s, p)...)
}

// Ended notes what became of the step.
func (m *Metrics) Ended(s plan.Step, err error, took time.Duration, at time.Time) {
	m.mu.Lock()
	progress := m.progress
	m.mu.Unlock()
	m.work(nil, host.Progress{})
	if err != nil {
		m.steps.WithLabelValues(string(s.Kind), resultError).Inc()
		m.failures.WithLabelValues(report.Failure{Step: s.Kind, Err: err}.Reason()).Inc()
		return
	}
	m.steps.WithLabelValues(string(s.Kind), resultSuccess).Inc()
	if s.Kind == plan.RestartCRIO {
		m.restarts.Inc()
	}
	if pulls(s.Kind) {
		m.pulled.Replace(lastPull(&pull{took: took, bytes: progress.Total, ended: at})...)
	}
}

func pulls(k plan.Kind) bool { return k == plan.Pull || k == plan.Prefetch }
