// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
)

// later are the changes a while after noon, and when the next one is due.
func later(after time.Duration, c facts.Config, nodes ...facts.Node) ([]rollout.Change, time.Time) {
	d, now, limits := selection.Divide([]facts.Config{c}, nodes), Noon().Add(after), limits()
	limits.Ping = 24 * time.Hour
	pace := rollout.PaceOf(d.Pools[0], rollout.Open(ledger.Ledger{}, nodes, limits, now), limits, now)
	return rollout.Plan(d.Pools[0], pace, now), pace.Next
}

func TestAnAgentAtRestIsPingedOnceADay(t *testing.T) {
	t.Parallel()
	c := Config("c")
	w := Worker("w", Done(c), Ping(Noon()), Answers)
	due := w.NextPing(24 * time.Hour)
	changes, next := later(0, c, w)
	assert.Empty(t, changes)
	assert.Equal(t, due, next)

	changes, _ = later(due.Sub(Noon()), c, w)
	require.Len(t, changes, 1)
	want := *w.Intent
	want.Ping = due.Truncate(time.Second)
	assert.Equal(t, &want, changes[0].Intent, "nothing else changes, and the id stays")
	assert.Empty(t, changes[0].Event, "it is nothing that a person has to hear of")
	assert.Equal(t, want.Ping.Location(), time.UTC)

	silent := Worker("w", Done(c), Ping(Noon()), Answers, Ping(due))
	changes, next = later(due.Sub(Noon()), c, silent)
	assert.Empty(t, changes)
	assert.Equal(t, due.Add(limits().Answer), next, "when the status changes")
}

func TestNoNodeIsPingedThatSomethingIsAskedOfOrThatIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := Config("c")
	for name, x := range map[string]struct {
		config facts.Config
		node   facts.Node
	}{
		"at work":               {c, Worker("w", Wanted(c), Reports(node.PhaseInstalling))},
		"another boot":          {c, Worker("w", Done(c), Rebooted)},
		"NotReady":              {c, Worker("w", Done(c), NotReady)},
		"held":                  {c, Worker("w", Done(c), Held)},
		"worked on":             {c, Worker("w", Done(c), Busy)},
		"paused":                {Config("c", Paused), Worker("w", Done(c))},
		"being deleted":         {Config("c", Deleted), Worker("w", Unwanted(c), Reports(node.PhaseBlocked), Pods(1))},
		"with an error":         {c, Worker("w", Done(c), Fails("unmount payload", "no"))},
		"fetches ahead":         {c, Worker("w", Done(c), Prefetches(PayloadB), Unchanged(-47*time.Hour))},
		"its config is refused": {Config("c", func(c *facts.Config) { c.Refused = &facts.Refusal{} }), Worker("w", Done(c))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes, _ := later(48*time.Hour, x.config, x.node)
			for _, change := range changes {
				assert.NotEmpty(t, change.Event)
			}
		})
	}
}

func TestAnAgentThatNeverFetchesWhatItShouldIsPinged(t *testing.T) {
	t.Parallel()
	c := Config("c")
	changes, _ := later(48*time.Hour, c, Worker("w", Done(c), Prefetches(PayloadB), Unchanged(-24*time.Hour), func(n *facts.Node) { n.Release.Prefetch = PayloadB }))
	require.Len(t, changes, 1)
}

func TestAsManyNodesArePingedAtOnceAsMayWork(t *testing.T) {
	t.Parallel()
	c := Config("c")
	c.MaxParallel = 3
	long := Noon().Add(48 * time.Hour)
	nodes := []facts.Node{
		Worker("pinged", Done(c), Ping(Noon()), Answers, Ping(long)),
		Worker("silent", Done(c), Ping(Noon()), Answers, Ping(long.Add(-time.Hour))),
		Worker("older", Done(c), Ping(Noon())),
	}
	for i := range 5 {
		nodes = append(nodes, Worker(fmt.Sprintf("w%d", i), Done(c)))
	}
	changes, _ := later(48*time.Hour, c, nodes...)
	assert.Equal(t, []string{"w0 ", "w1 "}, said(changes))
}

func TestAnIntentThatVanishedIsGivenBackWithThePingThatWasAnswered(t *testing.T) {
	t.Parallel()
	c, before := Config("c"), Noon().Add(-time.Hour)
	w := Worker("w", Done(c), Ping(before), Answers, Vanished)
	assert.Equal(t, before, plan(c, w)[0].Intent.Ping, "its agent has nothing to write")
	assert.Equal(t, Noon(), plan(c, Worker("w", Idle))[0].Intent.Ping, "the first report shows whether the agent answers pings")
}
