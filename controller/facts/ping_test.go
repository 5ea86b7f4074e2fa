// SPDX-License-Identifier: Apache-2.0

package facts_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
)

func TestPingsOfAFleetAreSpreadOverHalfAnInterval(t *testing.T) {
	t.Parallel()
	c := Config("c")
	const nodes = 2000
	hours := map[int]int{}
	for i := range nodes {
		n := Worker(fmt.Sprintf("worker-%d.example.com", i), Done(c))
		due := n.NextPing(24 * time.Hour)
		assert.Equal(t, due, n.NextPing(24*time.Hour), "it does not change from pass to pass")
		hours[int(due.Sub(Noon())/time.Hour)]++
	}
	for hour, due := range hours {
		assert.GreaterOrEqual(t, hour, 12)
		assert.Less(t, hour, 24)
		assert.InDelta(t, nodes/12, due, nodes/24, "in hour %d", hour)
	}
}

func TestOnlyAnAgentThatAnsweredIsPingedAgainAndMissed(t *testing.T) {
	t.Parallel()
	c, day := Config("c"), 24*time.Hour
	installed, answered := Worker("w", Done(c)), Worker("w", Done(c), Ping(Noon()), Answers)
	assert.False(t, installed.NextPing(day).IsZero(), "one that was installed by an older controller")
	assert.False(t, answered.NextPing(day).IsZero())
	assert.Equal(t, installed.NextPing(day), answered.NextPing(day))
	assert.False(t, installed.Pinged())
	assert.False(t, answered.Pinged())
	assert.True(t, answered.NextPing(0).IsZero(), "pings are off")

	silent := Worker("w", Done(c), Ping(Noon()), Answers, Ping(Noon().Add(day)))
	assert.True(t, silent.Pinged())
	assert.True(t, silent.NextPing(day).IsZero(), "one ping is enough")

	older := Worker("w", Done(c), Ping(Noon()))
	assert.False(t, older.Pinged(), "its agent may know no pings")
	assert.True(t, older.NextPing(day).IsZero())

	other := Worker("w", Wanted(c), Reports(node.PhaseInstalled), Ping(Noon()), Answers, Wanted(Config("c", Payload(PayloadB))))
	assert.False(t, other.Pinged(), "the intent itself is not answered")
	assert.True(t, Worker("w", Idle).NextPing(day).IsZero())
}
