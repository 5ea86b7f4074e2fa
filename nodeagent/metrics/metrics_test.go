// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/metrics"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func payload(digit string) string { return "r.example/p@sha256:" + strings.Repeat(digit, 64) }

// meter is an agent's figures and what a scrape sees of them.
type meter struct {
	*metrics.Metrics
	registry *prometheus.Registry
}

func newMeter(t *testing.T) meter {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	m, err := metrics.New(registry, "1.2.3")
	require.NoError(t, err)
	return meter{m, registry}
}

// scrape returns the values by name and labels, without the common prefix.
func (m meter) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems, "names and help texts follow Prometheus' conventions")
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "kata_node_agent_")
			for _, label := range metric.GetLabel() {
				name += " " + strings.ReplaceAll(label.GetValue(), "sha256:"+strings.Repeat("a", 64), "A")
			}
			values[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return values
}

func TestAnAgentThatDidNothingYet(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[string]float64{"build_info 1.2.3": 1, "crio_restarts_total": 0, "last_observation_timestamp_seconds": 0}, newMeter(t).scrape(t))
}

func TestFactsAndReport(t *testing.T) {
	t.Parallel()
	m := newMeter(t)
	m.Observed(plan.Facts{
		Intent: plan.Intent{Wanted: &node.Intent{State: node.StateInstalled, Payload: payload("b")}},
		Store:  plan.Store{Images: []plan.Image{{Digests: []string{node.Digest(payload("a"))}}}},
		Slots: plan.Slots{Current: "s1", Proof: plan.Pending, All: []plan.Slot{{
			ID: "s1", Origin: record.Origin{Payload: payload("a"), Release: "1.0"}, Mounted: true, Verified: &record.Verified{}, Configured: true,
			Holders: []string{"process 7"},
		}}},
	}, time.Unix(1000, 0))
	m.Reported(node.Report{Phase: node.PhaseInstalling, Error: &node.Error{Reason: node.ReasonPullPayloadFailed}})
	b := node.Digest(payload("b"))
	assert.Equal(t, map[string]float64{
		"build_info 1.2.3": 1, "crio_restarts_total": 0, "last_observation_timestamp_seconds": 1000,
		"phase Installing": 1, "error PullPayloadFailed": 1,
		"payload A wanted": 0, "payload A prefetch": 0, "payload A stored": 1, "payload A serving": 1,
		"payload " + b + " wanted": 1, "payload " + b + " prefetch": 0, "payload " + b + " stored": 0, "payload " + b + " serving": 0,
		"slot A 1.0 s1 mounted": 1, "slot A 1.0 s1 verified": 1, "slot A 1.0 s1 configured": 1,
		"slot A 1.0 s1 proved": 0, "slot A 1.0 s1 current": 1, "slot A 1.0 s1 proof": 0,
		"slot_holders s1": 1,
	}, m.scrape(t))

	m.Observed(plan.Facts{}, time.Unix(2000, 0))
	m.Reported(node.Report{Phase: node.PhaseIdle})
	assert.Equal(t, map[string]float64{
		"build_info 1.2.3": 1, "crio_restarts_total": 0, "last_observation_timestamp_seconds": 2000, "phase Idle": 1,
	}, m.scrape(t), "what is gone is not shown any more")
}

func TestStepsAreCountedAndThePresentOneShown(t *testing.T) {
	t.Parallel()
	m := newMeter(t)
	m.Progressed(host.Progress{Done: 1, Total: 2})
	pull := plan.Step{Kind: plan.Pull, Payload: payload("a")}
	m.Started(pull)
	m.Progressed(host.Progress{Done: 10, Total: 100})
	now := m.scrape(t)
	assert.InDelta(t, 1, now["step pull payload"], 0)
	assert.InDelta(t, 10, now["pull_done_bytes A"], 0)
	assert.InDelta(t, 100, now["pull_expected_bytes A"], 0)

	m.Ended(pull, errors.New("no route to host"), time.Second, time.Unix(3000, 0))
	failed := m.scrape(t)
	assert.NotContains(t, failed, "last_pull_bytes")
	assert.NotContains(t, failed, "step pull payload")
	assert.InDelta(t, 1, failed["errors_total PullPayloadFailed"], 0)
	assert.InDelta(t, 1, failed["steps_total error pull payload"], 0)

	m.Started(pull)
	m.Progressed(host.Progress{Done: 100, Total: 100})
	m.Ended(pull, nil, 90*time.Second, time.Unix(4000, 0))
	m.Started(plan.Step{Kind: plan.RestartCRIO})
	m.Ended(plan.Step{Kind: plan.RestartCRIO}, nil, time.Second, time.Unix(4001, 0))
	assert.Equal(t, map[string]float64{
		"build_info 1.2.3": 1, "last_observation_timestamp_seconds": 0, "errors_total PullPayloadFailed": 1, "crio_restarts_total": 1,
		"steps_total error pull payload": 1, "steps_total success pull payload": 1, "steps_total success restart CRI-O": 1,
		"last_pull_duration_seconds": 90, "last_pull_bytes": 100, "last_pull_timestamp_seconds": 4000,
	}, m.scrape(t))
}
