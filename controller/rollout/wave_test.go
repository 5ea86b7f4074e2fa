// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
)

// crowd is so many nodes in the same state.
func crowd(prefix string, size int, states ...State) []facts.Node {
	var nodes []facts.Node
	for i := range size {
		nodes = append(nodes, Worker(fmt.Sprintf("%s%03d", prefix, i), states...))
	}
	return nodes
}

func TestAWideWaveBeginsWithinAMinute(t *testing.T) {
	t.Parallel()
	c := Config("c")
	c.MaxParallel = 120
	queue := append(crowd("q", 300, Idle), Worker("done", Done(c)))
	changes, next := later(0, c, queue...)
	assert.Len(t, changes, 20, "a sixth of it at once")
	assert.Equal(t, Noon().Add(10*time.Second), next)

	pulling := append(crowd("p", 20, Wanted(c), Reports(node.PhaseInstalling)), queue...)
	changes, next = later(9*time.Second, c, pulling...)
	assert.Empty(t, changes)
	assert.Equal(t, Noon().Add(10*time.Second), next)
	changes, _ = later(10*time.Second, c, pulling...)
	assert.Len(t, changes, 20)

	pulled := append(crowd("p", 20, Wanted(c), Granted, Reports(node.PhaseAwaitingGrant)), queue...)
	changes, _ = later(time.Second, c, pulled...)
	assert.Len(t, changes, 20, "who has pulled already is no load for the registry")
	unanswered := append(crowd("p", 15, Idle, Wanted(c)), queue...)
	changes, _ = later(time.Second, c, unanswered...)
	assert.Len(t, changes, 5)
}

func TestAWaveOfTheUsualWidthBeginsAtOnce(t *testing.T) {
	t.Parallel()
	c := Config("c")
	changes, next := later(0, c, append(crowd("q", 30, Idle), Worker("done", Done(c)))...)
	assert.Len(t, changes, facts.DefaultMaxParallel)
	assert.True(t, next.After(Noon().Add(time.Minute)), "nothing waits for a clock but the next ping")
}

func TestWhatIsFetchedAheadOfTimeIsSpreadToo(t *testing.T) {
	t.Parallel()
	c := Config("c", Catalogued)
	c.MaxParallel = 120
	ahead := Gets(facts.Release{Payload: PayloadA, Prefetch: PayloadB})
	member := func(n *facts.Node) { ahead(n); Done(c)(n) }
	changes, next := later(0, c, crowd("w", 200, member)...)
	assert.Len(t, changes, 20)
	assert.Equal(t, rollout.EventPrefetch, changes[0].Event)
	assert.Equal(t, Noon().Add(10*time.Second), next)
	begun := func(n *facts.Node) { member(n); Prefetches(PayloadB)(n); n.Since = Noon() }
	changes, _ = later(9*time.Second, c, append(crowd("b", 20, begun), crowd("w", 200, member)...)...)
	assert.Empty(t, changes)
}
