// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
)

// snapshot is what one pass found. It is not changed once it can be collected.
type snapshot struct {
	nodes *prometheus.GaugeVec
	// waiting has the reasons of the nodes that wait.
	waiting *prometheus.GaugeVec
	// conditions are 1 where the condition is True.
	conditions *prometheus.GaugeVec
	// unreadable counts stored KataConfigs that cannot be decoded.
	unreadable prometheus.Gauge
	// catalog is 1 while the present catalogue cannot be used.
	catalog prometheus.Gauge
}

func newSnapshot() snapshot {
	return snapshot{
		nodes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kata_controller_nodes",
			Help: "Nodes of a KataConfig by state.",
		}, []string{"kataconfig", "state"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kata_controller_waiting_nodes",
			Help: "Waiting nodes of a KataConfig by the reason in its status.",
		}, []string{"kataconfig", "reason"}),
		conditions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kata_controller_kataconfig_condition",
			Help: "Conditions of a KataConfig with their reasons: 1 for True, 0 for False.",
		}, []string{"kataconfig", "condition", "reason"}),
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

// snapshotOf returns the figures of a decision: no scrape sees a pass half noted, or a KataConfig
// without its nodes.
func snapshotOf(d decide.Decision) []prometheus.Collector {
	s := newSnapshot()
	s.unreadable.Set(float64(d.Unreadable))
	if d.CatalogProblem {
		s.catalog.Set(1)
	}
	for _, status := range d.Statuses {
		s.add(status.Config.Name, status.Status)
	}
	return []prometheus.Collector{s.nodes, s.waiting, s.conditions, s.unreadable, s.catalog}
}

func (s snapshot) add(config string, status v1.KataConfigStatus) {
	for state, count := range map[string]int32{
		"completed":   status.CompletedNodesCount,
		"in_progress": status.InProgressNodesCount,
		"waiting":     status.WaitingNodesCount,
		"failed":      status.FailedNodesCount,
	} {
		s.nodes.WithLabelValues(config, state).Set(float64(count))
	}
	for _, w := range status.Waiting {
		s.waiting.WithLabelValues(config, w.Reason).Set(float64(w.Nodes))
	}
	for _, c := range status.Conditions {
		holds := 0.0
		if c.Status == metav1.ConditionTrue {
			holds = 1
		}
		s.conditions.WithLabelValues(config, c.Type, c.Reason).Set(holds)
	}
}
