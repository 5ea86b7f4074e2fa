// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kata-node/kata-node/nodeagent/plan"
)

// How soon the agent looks again by itself. Events bring most looks sooner.
const (
	// blindRetry is for a host that could not be observed, and blindPatience how long that is kept
	// from the report.
	blindRetry    = 5 * time.Second
	blindPatience = 30 * time.Second
	// waitingLook is for things that send no event: a process that ends, a CRI-O that starts. While
	// nothing changes it grows up to longWait.
	waitingLook = 2 * time.Second
	longWait    = 20 * time.Second
	// heldLook is for sandboxes that hold an older slot, for weeks perhaps: each look reads the
	// host's processes. Looks are that rare only while no pod comes or goes: a shim ends a moment
	// after its pod.
	heldLook = 30 * time.Second
	// looksAtRest is how many looks in a row find the same on a node at rest.
	looksAtRest = 2
	// restingLook notices what other hands did.
	restingLook = time.Minute
	// eventInterval is the least time between two looks that events bring.
	eventInterval = time.Second
)

// Retries begin quickly, because most failures at a node's start pass, and end slowly, because a
// registry serves many nodes.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
	// wrongRetry is for a payload that is wrong in the registry or for this host, which no time
	// fixes: its name is that of its content. Another name is tried at once. It is also for a
	// registry that refuses, until the host's own settings change.
	wrongRetry = time.Hour
	// drainRetry is for evictions: a disruption budget allows the next one as soon as the pod
	// before it has been replaced on another node.
	drainRetry = 20 * time.Second
)

// backoff is the longest time from a failure to the next try, for everything that the agent tries
// again.
func backoff(failures int) time.Duration {
	return min(firstRetry<<min(failures-1, 16), lastRetry)
}

// wrongBackoff is backoff for what only a person can mend.
func wrongBackoff(failures int) time.Duration {
	return min(lastRetry<<min(failures-1, 16), wrongRetry)
}

// spread keeps the agents of a cluster from trying at the same time.
func (a *Agent) spread(longest time.Duration) time.Duration {
	if a.Spread != nil {
		return a.Spread(longest)
	}
	return longest/2 + rand.N(longest/2+1) //nolint:gosec // spreads retries, guards nothing
}

// rests counts the looks in a row that found the same.
type rests struct {
	found string
	same  int
}

func (r *rests) count(found string) {
	if found != r.found {
		*r = rests{found: found}
	}
	r.same++
}

// next returns when to look again after a pass that had no step to take. One without a phase could
// not see its host.
func (r *rests) next(found Result) time.Duration {
	r.count(fmt.Sprint(found.Sentence, found.Facts.Cluster.BoundPods))
	switch {
	case found.Plan.Phase == "":
		return min(blindRetry<<min(r.same-1, 8), restingLook)
	case found.Plan.Wait != "" || found.Plan.Problem != nil || found.Plan.Leaving != "" || len(found.Plan.Tidy) > 0:
		return min(waitingLook<<min(r.same-1, 8), longWait)
	case len(found.Facts.Slots.Held()) > 0:
		return min(waitingLook<<min(r.same-1, 8), heldLook)
	}
	return restingLook
}

// How often the same step may succeed in a row without a pause, and after which time it counts as
// new. Another hand may undo it each time.
const (
	freeRepeats  = 5
	repeatMemory = 15 * time.Minute
)

// repeats counts successes of steps, also of those that the plan has left behind.
type repeats map[plan.Step]repeat

type repeat struct {
	times int
	last  time.Time
}

func (r repeats) note(s plan.Step, now time.Time) {
	for other, seen := range r {
		if now.Sub(seen.last) > repeatMemory {
			delete(r, other)
		}
	}
	r[s] = repeat{times: r[s].times + 1, last: now}
}

// wait returns how long a step that succeeded often must wait.
func (r repeats) wait(s plan.Step, now time.Time) time.Duration {
	seen := r[s]
	if seen.times < freeRepeats {
		return 0
	}
	delay := min(firstRetry<<min(seen.times-freeRepeats, 16), lastRetry)
	return max(0, seen.last.Add(delay).Sub(now))
}
