// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// observation returns the figures of one look at the host. At the zero time there was none yet.
func observation(f plan.Facts, at time.Time) []prometheus.Collector {
	payloads := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_payload",
		Help: "1 where a payload, by digest, is in a state: wanted, prefetch, stored or serving; else 0.",
	}, []string{"payload", "state"})
	slots := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_slot",
		Help: "1 where a slot is in a state: mounted, verified, configured, proved, current or proof; else 0.",
	}, []string{"slot", "payload", "payload_version", "state"})
	holders := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_slot_holders",
		Help: "Processes and sandboxes that use a slot.",
	}, []string{"slot"})
	last := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kata_node_agent_last_observation_timestamp_seconds",
		Help: "Unix time of the last complete look at the host, 0 before the first one.",
	})
	if !at.IsZero() {
		last.Set(float64(at.Unix()))
	}
	setPayloads(payloads, f)
	for _, s := range f.Slots.All {
		for state, holds := range map[string]bool{
			"mounted": s.Mounted, "verified": s.Verified != nil, "configured": s.Configured, "proved": s.Proved != "",
			"current": s.ID == f.Slots.Current, "proof": s.ID == f.Slots.Proof,
		} {
			slots.WithLabelValues(s.ID, node.Digest(s.Payload), s.Release, state).Set(figure(holds))
		}
		holders.WithLabelValues(s.ID).Set(float64(len(s.Holders)))
	}
	return []prometheus.Collector{payloads, slots, holders, last}
}

// setPayloads sets every state of every payload that is in one of them.
func setPayloads(payloads *prometheus.GaugeVec, f plan.Facts) {
	states := map[string]map[string]bool{"wanted": {}, "prefetch": {}, "stored": {}, "serving": {}}
	if wanted := f.Intent.Wanted; wanted != nil {
		states["wanted"][node.Digest(wanted.Payload)] = true
		states["prefetch"][node.Digest(wanted.Prefetch)] = true
	}
	for _, image := range f.Store.Images {
		for _, digest := range image.Digests {
			states["stored"][digest] = true
		}
	}
	if slot, serving := f.Serving(); serving {
		states["serving"][node.Digest(slot.Payload)] = true
	}
	for _, in := range states {
		for digest := range in {
			if digest == "" {
				continue
			}
			for state := range states {
				payloads.WithLabelValues(digest, state).Set(figure(states[state][digest]))
			}
		}
	}
}

// standing returns the figures of a report.
func standing(r node.Report) []prometheus.Collector {
	phases := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_phase",
		Help: "1 for the phase in which the node is.",
	}, []string{"phase"})
	failing := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_error",
		Help: "1 for the reason of the error in the report.",
	}, []string{"reason"})
	if r.Phase != "" {
		phases.WithLabelValues(string(r.Phase)).Set(1)
	}
	if r.Error != nil {
		failing.WithLabelValues(r.Error.Reason).Set(1)
	}
	return []prometheus.Collector{phases, failing}
}

// work returns the figures of the step that is carried out, if any.
func work(s *plan.Step, p host.Progress) []prometheus.Collector {
	steps := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_step",
		Help: "1 for the step that is carried out.",
	}, []string{"step"})
	done := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_pull_done_bytes",
		Help: "How much of a pull's blobs is here, those included that were here before it.",
	}, []string{"payload"})
	expected := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_pull_expected_bytes",
		Help: "Size of a pull's blobs, as far as they are known.",
	}, []string{"payload"})
	if s != nil {
		steps.WithLabelValues(string(s.Kind)).Set(1)
	}
	if s != nil && pulls(s.Kind) {
		done.WithLabelValues(node.Digest(s.Payload)).Set(float64(p.Done))
		expected.WithLabelValues(node.Digest(s.Payload)).Set(float64(p.Total))
	}
	return []prometheus.Collector{steps, done, expected}
}

// pull is one that succeeded.
type pull struct {
	took  time.Duration
	bytes int64
	ended time.Time
}

// lastPull returns the figures of the last pull that succeeded; nil is none since the start.
func lastPull(p *pull) []prometheus.Collector {
	took := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_last_pull_duration_seconds",
		Help: "Duration of the last pull that succeeded.",
	}, nil)
	bytes := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_last_pull_bytes",
		Help: "Size of the blobs of the last pull that succeeded, those included that were here before it.",
	}, nil)
	ended := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kata_node_agent_last_pull_timestamp_seconds",
		Help: "Unix time at which the last pull succeeded.",
	}, nil)
	if p != nil {
		took.WithLabelValues().Set(p.took.Seconds())
		bytes.WithLabelValues().Set(float64(p.bytes))
		ended.WithLabelValues().Set(float64(p.ended.Unix()))
	}
	return []prometheus.Collector{took, bytes, ended}
}

func figure(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
