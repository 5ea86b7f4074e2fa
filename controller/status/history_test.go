// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
)

// TestCountsAddUpInEveryState tries random histories: whatever happened to nodes, each is counted
// once and the conditions agree with the counts.
func TestCountsAddUpInEveryState(t *testing.T) {
	t.Parallel()
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	configs := []facts.Config{
		Config("c"), Config("c", Paused), Config("c", Deleted), Config("c", Payload(PayloadB)), Config("c", Handlers("rs")), Config("c", Selects("pool", "x")),
		Config("c", Catalogued), Config("c", func(c *facts.Config) { c.Refused = &facts.Refusal{Reason: facts.ReasonNoPayload, Message: "none"} }),
	}
	for range 5000 {
		c := configs[random.IntN(len(configs))]
		var nodes []facts.Node
		for i := range random.IntN(5) {
			nodes = append(nodes, Worker(fmt.Sprint("w", i), history(random, configs[:6])...))
		}
		s := of(c, nodes...)
		require.Equal(t, s.TotalNodesCount, s.CompletedNodesCount+s.InProgressNodesCount+s.WaitingNodesCount+s.FailedNodesCount)
		require.LessOrEqual(t, int(s.TotalNodesCount), len(nodes))
		consistent(t, s)
		require.Equal(t, s, at(Noon(), s, c, nodes...), "the same again is no news")
	}
}

func history(random *rand.Rand, configs []facts.Config) []State {
	c := configs[random.IntN(len(configs))]
	possible := []State{
		Done(c), Wanted(c), Unwanted(c), Vanished, Idle, Unreadable, Ready, NotReady, Cordoned, Rebooted, Serves("runc"), Without("node-role.kubernetes.io/worker"),
		Reports(node.PhaseInstalling), Reports(node.PhaseAwaitingGrant), Reports(node.PhaseInstalled), Reports(node.PhaseBlocked), Reports(node.PhaseAbsent),
		Held, Busy, Carries("rs"), Unchanged(48 * time.Hour), reporting(Fails("pull payload", "no")), reporting(Unfit), reporting(NeedsReboot), reporting(Proves("rs")),
		reporting(Pods(3, "a/b")), reporting(Booted), wanting(Granted), wanting(MayReboot), wanting(Ping(Noon())), wanting(Prefetches(PayloadB)), wanting(reporting(Answers)),
		Gets(facts.Release{Payload: PayloadB}), Gets(facts.Release{Problem: "the catalogue has none"}), With("pool", "x"),
	}
	var out []State
	for range random.IntN(6) {
		out = append(out, possible[random.IntN(len(possible))])
	}
	return out
}

// reporting is a state of nodes with a report, wanting one of nodes with an intent.
func reporting(state State) State {
	return func(n *facts.Node) {
		if n.Report != nil {
			state(n)
		}
	}
}

func wanting(state State) State {
	return func(n *facts.Node) {
		if n.Intent != nil {
			state(n)
		}
	}
}

func consistent(t *testing.T, s v1.KataConfigStatus) {
	t.Helper()
	require.Len(t, s.Conditions, 3)
	is := func(kind string) bool { return meta.IsStatusConditionTrue(s.Conditions, kind) }
	require.False(t, is(v1.ConditionCompleted) && (is(v1.ConditionInProgress) || is(v1.ConditionFailed)), truth(s))
	require.False(t, is(v1.ConditionCompleted) && s.CompletedNodesCount != s.TotalNodesCount)
	require.False(t, s.FailedNodesCount > 0 && !is(v1.ConditionFailed))
	for _, c := range s.Conditions {
		require.NotEmpty(t, c.Reason)
		require.NotEmpty(t, c.Message)
	}
}
