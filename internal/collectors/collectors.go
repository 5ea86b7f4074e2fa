// SPDX-License-Identifier: Apache-2.0

// Package collectors has a collector for Prometheus whose figures are replaced together.
package collectors

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Group collects from the collectors that it was given last, so that no scrape sees some figures
// old and some new, or those of an object that is not there any more. Its zero value has none; it
// must be given some before it is registered. It is safe for concurrent use.
type Group struct {
	last atomic.Pointer[[]prometheus.Collector]
}

// Replace takes the place of what the group had. All collectors that a group is ever given have
// the same descriptions, and are not changed any more.
func (g *Group) Replace(with ...prometheus.Collector) { g.last.Store(&with) }

// Describe implements prometheus.Collector.
func (g *Group) Describe(into chan<- *prometheus.Desc) {
	for _, c := range g.all() {
		c.Describe(into)
	}
}

// Collect implements prometheus.Collector.
func (g *Group) Collect(into chan<- prometheus.Metric) {
	for _, c := range g.all() {
		c.Collect(into)
	}
}

func (g *Group) all() []prometheus.Collector {
	if last := g.last.Load(); last != nil {
		return *last
	}
	return nil
}
