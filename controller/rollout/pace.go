// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// Pace is who of a pool's members may do what now, and what holds the others.
type Pace struct {
	starts, grants map[string]bool
	// Unavailable are the members that use up maxUnavailable, sorted by name.
	Unavailable []string
	// Halted is true while so many members have failed that nothing new is started.
	Halted bool
	// Next is when the pace changes although nothing else did; zero if never.
	Next time.Time
}

// PaceOf decides about a pool.
func PaceOf(p selection.Pool, limits Limits, now time.Time) Pace {
	pace := Pace{starts: map[string]bool{}, grants: map[string]bool{}}
	if p.Config.Refused != nil {
		return pace
	}
	if p.Config.Accepted {
		pace.start(p, limits, now)
	}
	pace.grant(p, limits, now)
	return pace
}

// start chooses the members that get the wanted intent now. The first node of a payload goes alone
// until one has proved it; after that at most maxParallel nodes are moving. A bad payload stops by
// itself: a failed node holds its place for a while, and with too many failures nothing is started.
func (pace *Pace) start(p selection.Pool, limits Limits, now time.Time) {
	busy, failures, proven := 0, 0, false
	var queue []facts.Node
	for _, m := range p.Members {
		carries, resumes := m.Carries(), m.Resumes()
		if resumes && !carries {
			pace.starts[m.Name] = true
		}
		switch {
		case carries || resumes:
			is, until := limits.standing(m.Node, now)
			pace.wake(until)
			proven = proven || is == settled
			busy += count(is == moving)
			failures += count(is == failing)
		case m.Obstacle() == "":
			proven = proven || m.Settled() && m.Intent.Payload == p.Config.Payload
			queue = append(queue, m.Node)
		}
	}
	pace.Halted = len(queue) > 0 && failures >= maxFailures(p, proven)
	if pace.Halted {
		return
	}
	for _, n := range first(queue, width(p.Config, proven)-busy) {
		pace.starts[n.Name] = true
	}
}

func (pace *Pace) wake(at time.Time) {
	if !at.IsZero() && (pace.Next.IsZero() || at.Before(pace.Next)) {
		pace.Next = at
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func width(c facts.Config, proven bool) int {
	if !proven {
		return 1
	}
	return max(c.MaxParallel, 1)
}

// unprovenFailures is how many nodes may fail with a payload that none has proved.
const unprovenFailures = 3

// maxFailures is spec.config.maxFailures in nodes.
func maxFailures(p selection.Pool, proven bool) int {
	limit := scaled(p.Config.MaxFailures, len(p.Members), unprovenFailures)
	if !proven {
		return min(limit, unprovenFailures)
	}
	return limit
}

// first orders the queue: nodes that are stuck with an older payload, then sound ones, then those
// with an error of their own, then unfit hosts; among equals by name.
func first(queue []facts.Node, count int) []facts.Node {
	slices.SortStableFunc(queue, func(a, b facts.Node) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	return queue[:min(max(count, 0), len(queue))]
}

func rank(n facts.Node) int {
	switch {
	case unfit(n):
		return 3
	case n.Report.Error != nil && slices.Contains(payloadSteps(), n.Report.Error.Step):
		return 0
	case n.Report.Error != nil:
		return 2
	case n.Intent != nil && !n.Settled():
		return 0
	default:
		return 1
	}
}

// payloadSteps are the agent's steps whose failure is the payload's, as reports name them.
func payloadSteps() []string {
	return []string{"verify payload", "configure handlers", "prove payload"}
}

// grant chooses the members that may restart CRI-O now. What we caused counts against
// maxUnavailable; members that are unavailable for another reason count as far as they exceed it,
// so that a few dead nodes never hold a fleet. A node that is unavailable already costs nothing.
func (pace *Pace) grant(p selection.Pool, limits Limits, now time.Time) {
	ours, others := 0, 0
	for _, m := range p.Members {
		caused, until := outstanding(m.Node, limits, now)
		pace.wake(until)
		switch {
		case caused:
			ours++
		case !m.Available():
			others++
		default:
			continue
		}
		pace.Unavailable = append(pace.Unavailable, m.Name)
	}
	budget := Budget(p)
	budget -= ours + max(0, others-budget)
	for _, m := range p.Members {
		switch {
		case !asks(m.Node):
		case !m.Available():
			pace.grants[m.Name] = true
		case budget > 0:
			pace.grants[m.Name] = true
			budget--
		}
	}
}

// Budget is maxUnavailable in nodes: a percentage is rounded down, and never below one.
func Budget(p selection.Pool) int { return scaled(p.Config.MaxUnavailable, len(p.Members), 1) }

func scaled(value intstr.IntOrString, of, least int) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, of, false)
	if err != nil {
		return least
	}
	if value.Type == intstr.Int {
		return max(n, 1)
	}
	return max(n, least)
}

// asks is true when the agent waits for a grant that its intent does not have for this boot.
func asks(n facts.Node) bool {
	return n.Answered() && n.Report.Phase == node.PhaseAwaitingGrant && n.Intent.Grants.RestartCRIO != n.Report.BootID
}

// outstanding is true while a node is, or is about to be, unavailable by a grant of ours: until the
// agent reports that it went on, another boot, or nothing at all for too long. until is when that
// changes by itself.
func outstanding(n facts.Node, limits Limits, now time.Time) (caused bool, until time.Time) {
	if n.Intent == nil || n.Intent.Grants.RestartCRIO == "" || n.Serves() {
		return false, time.Time{}
	}
	if n.Report != nil && n.Report.BootID != n.Intent.Grants.RestartCRIO {
		return false, time.Time{}
	}
	if !n.Ready {
		// A restart of CRI-O takes seconds. A node that is away for longer is away for another
		// reason.
		is, until := expired(n.Since, limits.Answer, now, excused)
		return is == moving, until
	}
	if n.Answered() && n.Report.Error != nil && n.Report.Phase != node.PhaseAwaitingGrant {
		return false, time.Time{}
	}
	is, until := expired(n.Since, limits.Progress, now, failing)
	return is == moving, until
}
