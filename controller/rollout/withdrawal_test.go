// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/rollout"
)

// failsBy has an error of this step and reason.
func failsBy(step, reason string) State {
	return func(n *facts.Node) { n.Report.Error = &node.Error{Step: step, Reason: reason, Message: "no"} }
}

// knowsPings has answered one, as every agent of today has.
func knowsPings(n *facts.Node) {
	Ping(Noon().Add(-2 * time.Hour))(n)
	Answers(n)
}

// An agent may use its grant at any time after it was repaired, or started again: a grant that does
// not count any more must not be on the Node.
func TestAGrantThatIsNotUsedIsTakenBackFromAReadyNode(t *testing.T) {
	t.Parallel()
	c := Config("c")
	asks := Worker("b", Wanted(c), Reports(node.PhaseAwaitingGrant))
	restart := func(phase node.Phase, more ...State) facts.Node {
		return Worker("a", append([]State{Wanted(c), Reports(phase), Granted, knowsPings}, more...)...)
	}
	reboot := func(more ...State) facts.Node {
		return Worker("a", append([]State{Done(c), NeedsReboot, MayReboot, knowsPings}, more...)...)
	}
	refused := failsBy("restart CRI-O", node.ReasonCRIOConfigurationRefused)
	for name, x := range map[string]struct {
		a    facts.Node
		want []string
	}{
		"silent":                           {restart(node.PhaseAwaitingGrant, Unchanged(time.Hour)), []string{"a KataGrantWithdrawn"}},
		"silent for a moment":              {restart(node.PhaseAwaitingGrant, Unchanged(time.Minute)), []string{}},
		"silent since it began":            {restart(node.PhaseInstalling, Unchanged(time.Hour)), []string{"a KataGrantWithdrawn"}},
		"failed before the restart":        {restart(node.PhaseInstalling, refused, Unchanged(time.Minute)), []string{"a KataGrantWithdrawn"}},
		"the restart itself failed":        {restart(node.PhaseInstalling, failsBy("restart CRI-O", node.ReasonRestartCRIOFailed)), []string{"a KataGrantWithdrawn"}},
		"failed after it":                  {restart(node.PhaseInstalling, failsBy("prove payload", node.ReasonProvePayloadFailed)), []string{"b KataRestartGranted"}},
		"CRI-O is down since":              {restart(node.PhaseInstalling, failsBy("restart CRI-O", node.ReasonCRIONotRunning)), []string{"b KataRestartGranted"}},
		"has not begun to drain":           {reboot(Unchanged(time.Hour)), []string{"a KataGrantWithdrawn"}},
		"was cut off before it drained":    {reboot(NotReady, Unchanged(time.Hour)), []string{"a KataGrantWithdrawn"}},
		"may drain at any moment":          {reboot(Unchanged(time.Minute)), []string{}},
		"drains, and counts by its cordon": {reboot(Cordoned, Unchanged(time.Hour)), []string{"b KataRestartGranted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := plan(c, x.a, asks)
			require.Equal(t, x.want, said(changes))
			if len(changes) == 0 || changes[0].Event != rollout.EventLapse {
				return
			}
			assert.True(t, changes[0].Entered)
			assert.Equal(t, node.Grants{}, changes[0].Intent.Grants)
			assert.Equal(t, Noon(), changes[0].Intent.Ping, "its answer shows that the agent has seen this")
			assert.Equal(t, x.a.Intent.ID, changes[0].Intent.ID)
		})
	}
}

// A withdrawal within the second of the last ping has another one.
func TestAWithdrawalsPingIsNeverOneThatWasAnsweredBefore(t *testing.T) {
	t.Parallel()
	c := Config("c")
	a := Worker("a", Wanted(c), Reports(node.PhaseInstalling), Granted, Ping(Noon()), Answers, failsBy("pull payload", node.ReasonPullPayloadFailed))
	changes := plan(c, a)
	require.Equal(t, []string{"a KataGrantWithdrawn"}, said(changes))
	assert.Equal(t, Noon().Add(time.Second), changes[0].Intent.Ping)
}

// What was taken back counts until the agent has said that it has seen so, and at the longest for
// as long as a node may be silent.
func TestAWithdrawalEndsWithItsAnswer(t *testing.T) {
	t.Parallel()
	c := Config("c")
	b := Worker("b", Wanted(c), Reports(node.PhaseAwaitingGrant), version("6"))
	entry := entered("5", time.Minute)
	entry.Kind = ledger.Withdrawn
	l := ledger.Ledger{Version: "1", Entries: map[string]ledger.Entry{"a": entry}}
	taken := func(states ...State) facts.Node {
		return Worker("a", append([]State{Wanted(c), Reports(node.PhaseAwaitingGrant), knowsPings, Ping(Noon()), version("7"), Unchanged(time.Minute)}, states...)...)
	}
	installing := func(n *facts.Node) { n.Report.Phase = node.PhaseInstalling }
	for name, x := range map[string]struct {
		a    facts.Node
		want []string
	}{
		"not answered":                      {taken(), []string{}},
		"not answered for long":             {taken(Unchanged(time.Hour)), []string{"b KataRestartGranted"}},
		"answered":                          {taken(Answers), []string{"a KataRestartGranted"}},
		"answered, and its kubelet is away": {taken(Answers, NotReady), []string{}},
		"answered after a failed restart":   {taken(Answers, installing, failsBy("restart CRI-O", node.ReasonRestartCRIOFailed)), []string{}},
		"in another boot":                   {taken(Booted), []string{"b KataRestartGranted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, done := decideBy(l, x.a, b)
			assert.Equal(t, x.want, done)
		})
	}
}

// Otherwise it would have the grant again for most of the time.
func TestASilentAgentGetsNoGrantTwice(t *testing.T) {
	t.Parallel()
	c := Config("c")
	silent := []State{Wanted(c), Reports(node.PhaseAwaitingGrant), knowsPings, Ping(Noon().Add(-time.Hour)), Unchanged(time.Hour)}
	assert.Empty(t, said(plan(c, Worker("a", silent...))))
	assert.Equal(t, []string{"b KataInstall"}, said(plan(c, Worker("a", silent...), Worker("b", Idle))), "nor does it hold the others")
	assert.Equal(t, []string{"a KataRestartGranted"}, said(plan(c, Worker("a", append(silent, Answers)...))))
}
