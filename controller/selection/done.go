// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
)

// Done counts members that have what they should have, that need nothing, and of which there is
// nothing to say but that they are complete. They stay so until their Node or a KataConfig changes,
// or until they are to be pinged.
type Done map[Served]int

// Served is what one of them runs, and the payload that it serves.
type Served struct {
	Runs    facts.Runs
	Payload string
}

// Count is how many there are.
func (d Done) Count() int {
	count := 0
	for _, nodes := range d {
		count += nodes
	}
	return count
}

func (d Done) add(s Served, nodes int) {
	if d[s] += nodes; d[s] == 0 {
		delete(d, s)
	}
}

func served(n facts.Node) Served { return Served{Runs: n.Runs, Payload: n.Intent.Payload} }

// done is true for a member that Done may count. Package rollout changes nothing on it and grants
// it nothing, it does not use up maxUnavailable, and its verdict in package status is Completed
// without an end.
func (p place) done(pools []Pool) bool {
	if p.pool == none || p.leaving || p.kept || len(p.overlaps) > 0 {
		return false
	}
	proved := p.Carries() && p.Settled() && p.Report.Payload != "" && p.SameBoot() && p.HandlerServed() && p.Labelled()
	further := len(p.Lacking()) == 0 && len(p.Unlisted()) == 0 && len(p.Unlabelled()) == 0
	free := p.Available() && p.Obstacle() == "" && !p.Starting && !p.Report.RebootRequired && !p.Pinged() && p.Release.Problem == ""
	return proved && further && free && p.Intent.Prefetch == Ahead(pools[p.pool].Config, p.Node) && !p.Fetching()
}

// PingDue is when a member is to be pinged, where interval is the longest time between two pings;
// zero for never. Who has something to do is not pinged: a report of it says as much. One that
// fetches something gets a whole interval for it: an agent answers no ping during a pull.
func (m Member) PingDue(interval time.Duration) time.Time {
	if !m.Carries() || !m.Settled() || !m.SameBoot() || m.Obstacle() != "" {
		return time.Time{}
	}
	due := m.NextPing(interval)
	if fetched := m.Since.Add(interval); m.Fetching() && !due.IsZero() && fetched.After(due) {
		return fetched
	}
	return due
}

// idle is true for a node that belongs to no KataConfig, and that nothing has to be removed from.
func (p place) idle() bool { return p.pool == none && p.Wanted == nil && !p.Draws() }

// Ahead is the image that a member should have ahead of time, empty for none.
func Ahead(c facts.Config, n facts.Node) string {
	if !c.Catalogued {
		return ""
	}
	return n.Release.Prefetch
}

// Fetching is true while the agent has not reported that it has what it is to fetch ahead of time.
func (m Member) Fetching() bool {
	return m.Carries() && m.Intent.Prefetch != "" && (m.Report == nil || m.Report.Prefetched != node.Digest(m.Intent.Prefetch))
}
