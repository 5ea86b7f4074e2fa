// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/selection"
)

// Pace is who of a pool's members may do what now, and what holds the others.
type Pace struct {
	starts, fetches, pings map[string]bool
	grants                 map[string]ledger.Kind
	// kept are the grants that a node keeps of which another one is taken back.
	kept map[string]node.Grants
	// Unavailable are the members that use up maxUnavailable, sorted by name.
	Unavailable []string
	// Halted are the payloads with which so many members have failed that nothing new is started.
	Halted map[string]bool
	// Next is when the pace changes although nothing else did; zero if never.
	Next time.Time
}

// PaceOf decides about a pool, and enters its grants into the book.
func PaceOf(p selection.Pool, book *Book, limits Limits, now time.Time) Pace {
	pace := Pace{
		starts: map[string]bool{}, fetches: map[string]bool{}, pings: map[string]bool{}, Halted: map[string]bool{},
		grants: map[string]ledger.Kind{}, kept: map[string]node.Grants{},
	}
	if p.Config.Refused != nil {
		return pace
	}
	if p.Config.Accepted {
		pace.start(p, limits, now)
	}
	pace.grant(p, book, limits, now)
	pace.ping(p, limits, now)
	return pace
}

// start chooses the members that get the wanted intent now. The first node of each payload goes
// alone until one has proved it; altogether at most maxParallel nodes are moving, and a wave of
// many begins in parts, see wave. A bad payload stops by itself: a failed node holds its place for
// a while, and with too many failures nothing is started. A node whose host is unfit is never the
// first one.
func (pace *Pace) start(p selection.Pool, limits Limits, now time.Time) {
	c, begun := crews{}, newWave(p.Config.MaxParallel, now)
	for served := range p.Done {
		c.of(node.Intent{Payload: served.Payload, Handlers: p.Config.Handlers}).proven = true
	}
	var queue []*selection.Member
	for i := range p.Members {
		m := &p.Members[i]
		c.learn(m)
		carries, resumes := m.Carries(), m.Resumes()
		if resumes && !carries {
			pace.starts[m.Name] = true
		}
		switch {
		case carries || resumes:
			is, until := limits.standing(m.Node, now)
			pace.wake(until)
			c.of(*m.Wanted).count(is)
			begun.count(m, is)
		case m.Wanted != nil && m.Obstacle() == "":
			queue = append(queue, m)
		}
	}
	moves, failures := c.total()
	room, held := max(p.Config.MaxParallel, 1)-moves, 0
	for _, m := range inOrder(queue) {
		switch crew := c.of(*m.Wanted); {
		case unfit(m.Node) && !crew.proven && !judgedForAnother(*m):
			// It would prove nothing, and it says already why it cannot.
			held++
		case crew.halted(p, failures):
			pace.Halted[m.Wanted.Payload] = true
		case room > 0 && (crew.proven || crew.moving == 0) && begun.admits():
			pace.starts[m.Name] = true
			crew.moving++
			room--
		}
	}
	pace.wake(begun.next())
	if len(queue) == held && room == max(p.Config.MaxParallel, 1) {
		pace.fetch(p, limits, now)
	}
}

// crew is the members of one payload with the same further handlers.
type crew struct {
	proven           bool
	moving, failures int
}

type crews map[string]*crew

func (c crews) of(wanted node.Intent) *crew {
	served := strings.Join(append([]string{wanted.Payload}, wanted.Handlers...), " ")
	if c[served] == nil {
		c[served] = &crew{}
	}
	return c[served]
}

// learn takes a member that serves its intent's payload, and every further handler, for evidence.
func (c crews) learn(m *selection.Member) {
	if m.Settled() && len(m.Lacking()) == 0 {
		c.of(*m.Intent).proven = true
	}
}

// total is how many members of all crews are moving and failing.
func (c crews) total() (moves, failures int) {
	for _, crew := range c {
		moves, failures = moves+crew.moving, failures+crew.failures
	}
	return moves, failures
}

func (c *crew) count(is standing) {
	c.moving += count(is == moving)
	c.failures += count(is == failing)
}

// halted is true with maxFailures failed members, whatever their payload, and with a few that
// failed with a payload that none has proved.
func (c *crew) halted(p selection.Pool, failures int) bool {
	limit := scaled(p.Config.MaxFailures, p.Size(), unprovenFailures)
	return failures >= limit || !c.proven && c.failures >= min(limit, unprovenFailures)
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

// unprovenFailures is how many nodes may fail with a payload that none has proved.
const unprovenFailures = 3

// inOrder sorts the queue: nodes that are stuck with an older payload, then sound ones, then those
// with an error of their own, then hosts without virtualization, then unfit ones; among equals by
// name.
func inOrder(queue []*selection.Member) []*selection.Member {
	slices.SortStableFunc(queue, func(a, b *selection.Member) int {
		return cmp.Or(cmp.Compare(rank(a.Node), rank(b.Node)), cmp.Compare(a.Name, b.Name))
	})
	return queue
}

func rank(n facts.Node) int {
	switch {
	case unfit(n):
		return 4
	case n.Report.HostWarning != "":
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
	return []string{"verify payload", "configure handlers", proveStep}
}

// Steps of the agent, as reports name them.
const (
	proveStep   = "prove payload"
	restartStep = "restart CRI-O"
)
