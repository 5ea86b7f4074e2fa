// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnInstallationThatMakesNoProgressIsNamedAndCountsAgainWhenItContinues(t *testing.T) {
	t.Parallel()
	c := start(t)
	late := &clock{}
	s := late.settings()
	s.ProgressDeadline = s.AgentDeadline
	c.run(t, s)
	c.kataConfig(t, "kata", "{}")
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	w.awaitIntent(t, node.StateInstalled, payloadA)
	w.reports(t, node.PhaseInstalling, func(r *node.Report) { r.Payload = node.Digest(payloadB) })
	eventually(t, func(t *assert.CollectT, ctx context.Context) { // The deadline counts from when the controller has seen the report.
		kc, err := c.get(ctx, "kata")
		require.NoError(t, err)
		assert.Len(t, kc.Status.Payloads, 1)
		assert.Equal(t, "0/1/0/0 of 1 Installing", counts(kc))
	})
	late.turn(t, w)
	kc := c.awaitCounts(t, "kata", "0/0/0/1 of 1 NodesFailed")
	assert.Contains(t, kc.Status.FailedNodes[0].Error, "look at kata-agent.service on the node (NoProgress)")
	w.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
}

// awaitWaiting waits until nodes wait for this reason, and returns the message.
func (c *cluster) awaitWaiting(t *testing.T, name, reason string) (message string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		kc, err := c.get(ctx, name)
		require.NoError(t, err)
		var reasons []string
		for _, w := range kc.Status.Waiting {
			if reasons = append(reasons, w.Reason); w.Reason == reason {
				message = w.Message
			}
		}
		assert.Contains(t, reasons, reason)
	})
	return message
}

// One failed node holds the others for a while in any case. With the threshold that the
// administrator has set, it holds them for as long as it is failed.
func TestARolloutStopsAtTheThresholdOfFailuresAndContinuesWhenTheyAreRepaired(t *testing.T) {
	t.Parallel()
	c := start(t)
	late := &clock{}
	s := late.settings()
	s.FailureGrace = s.AgentDeadline
	_, workers := c.installed(t, s, "a", "b", "c")
	old := func(r *node.Report) { r.Payload = node.Digest(payloadA) }
	c.kataConfig(t, "kata", "{config: {maxFailures: 1, payloadImage: '"+payloadB+"'}}")
	workers["a"].awaitIntent(t, node.StateInstalled, payloadB)
	workers["a"].reports(t, node.PhaseInstalling, fails("the sandbox did not start"), old)
	c.awaitCounts(t, "kata", "0/0/2/1 of 3 NodesFailed")
	c.awaitWaiting(t, "kata", "Queued")
	late.turn(t, workers["b"])
	assert.Equal(t, "maxFailures nodes have failed: repair them, or name another payload: b, c", c.awaitWaiting(t, "kata", "TooManyFailures"))
	for _, name := range []string{"b", "c"} {
		assert.Equal(t, payloadA, workers[name].intent(t).Payload)
	}

	workers["a"].reports(t, node.PhaseInstalled)
	for _, name := range []string{"b", "c"} {
		workers[name].awaitIntent(t, node.StateInstalled, payloadB)
		workers[name].reports(t, node.PhaseInstalled)
	}
	c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
}

// The node is Ready all the time: only its agent has ended. When it works again it has to ask anew,
// because another node may restart CRI-O by then.
func TestAGrantThatASilentAgentHasNotUsedIsTakenBack(t *testing.T) {
	t.Parallel()
	c := start(t)
	late := &clock{}
	s := late.settings()
	s.ProgressDeadline = s.AgentDeadline
	_, workers := c.installed(t, s, "a")
	c.kataConfig(t, "kata", "{config: {maxUnavailable: 1}}")
	silent, other := c.worker(t, "b"), c.worker(t, "c")
	for _, w := range []*worker{silent, other} {
		w.reports(t, node.PhaseIdle)
		w.awaitIntent(t, node.StateInstalled, payloadA)
		w.reports(t, node.PhaseAwaitingGrant)
		if w == silent {
			w.awaitGrant(t)
		}
	}
	assert.Contains(t, c.awaitWaiting(t, "kata", "AwaitingGrant"), "maxUnavailable is used up by b")
	asked := silent.intent(t).Ping

	late.turn(t, workers["a"])
	silent.awaitPing(t, asked)
	assert.Empty(t, silent.intent(t).Grants)
	assert.Empty(t, other.intent(t).Grants, "the agent may have read its grant just before")
	late.turn(t, workers["a"])
	other.awaitGrant(t)
	kc := c.awaitCounts(t, "kata", "1/1/0/1 of 3 NodesFailed")
	assert.Equal(t, []v1.FailedNode{{Name: "b", Error: "no answer to the ping of " + silent.intent(t).Ping.UTC().Format(time.RFC3339) + ": look at kata-agent.service on the node (AgentNotReporting)"}}, kc.Status.FailedNodes)

	silent.reports(t, node.PhaseAwaitingGrant)
	c.awaitCounts(t, "kata", "1/1/1/0 of 3 Installing")
	assert.Empty(t, silent.intent(t).Grants, "c restarts CRI-O")
	other.reports(t, node.PhaseInstalled)
	silent.awaitGrant(t)
	silent.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
}
