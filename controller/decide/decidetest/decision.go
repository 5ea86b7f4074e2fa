// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/release"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
)

// Fault says what is wrong with a decision, whatever the cluster looks like; empty where nothing
// is.
func Fault(d decide.Decision, seen decide.Seen, settings decide.Settings, now time.Time) string {
	c := &check{decided: d, seen: seen, settings: settings, now: now, changes: map[string]rollout.Change{}}
	for _, change := range d.Changes {
		c.change(change)
	}
	for _, p := range Divide(seen, settings).Pools {
		c.pool(p)
	}
	for _, s := range d.Statuses {
		c.status(s)
	}
	return c.fault
}

// Divide is the division of what an instance has seen.
func Divide(seen decide.Seen, settings decide.Settings) selection.Division {
	var known []facts.Config
	for _, kc := range seen.Configs {
		known = append(known, facts.OfConfig(kc, facts.Defaults{Payload: settings.DefaultPayload, Catalog: seen.Catalog != nil, CatalogProblem: seen.CatalogProblem}))
	}
	return selection.Divide(known, release.Resolve(seen.Catalog, seen.Desired, seen.Nodes))
}

// check is one decision under examination.
type check struct {
	decided  decide.Decision
	seen     decide.Seen
	settings decide.Settings
	now      time.Time
	// changes are those of the decision, by node.
	changes map[string]rollout.Change
	// fault is the first one that was found.
	fault string
}

func (c *check) fails(format string, args ...any) {
	if c.fault == "" {
		c.fault = fmt.Sprintf(format, args...)
	}
}

// change is the only one of its node. Without policies, nothing is started, granted or labelled.
func (c *check) change(change rollout.Change) {
	if _, twice := c.changes[change.Node.Name]; twice {
		c.fails("two changes of %s", change.Node.Name)
	}
	c.changes[change.Node.Name] = change
	if c.seen.PolicyProblem != "" && (starts(change) || change.Entered || change.Label == rollout.LabelSet) {
		c.fails("%s of %s without policies", change.Event, change.Node.Name)
	}
}

func (c *check) pool(p selection.Pool) {
	for _, m := range p.Members {
		if change := c.changes[m.Name]; starts(change) {
			c.rightPayload(p, m, change)
		}
	}
	c.withinWidth(p)
	c.fetchesLast(p)
	c.rebootsWithinBudget(p)
	desired := c.decided.Desired
	if c.decided.Existing != nil && !p.Config.Deleting && (desired == nil || desired.Scheduling.NodeSelector[node.ReadyLabel] == "") {
		c.fails("the RuntimeClass is withdrawn while %s is there: %+v", p.Config.Name, desired)
	}
}

// status adds up.
func (c *check) status(s decide.Status) {
	st := s.Status
	sum := st.CompletedNodesCount + st.InProgressNodesCount + st.WaitingNodesCount + st.FailedNodesCount
	if st.TotalNodesCount != sum || int(sum) > len(c.seen.Nodes) || len(st.Conditions) != 3 {
		c.fails("the status of %s does not add up: %+v", s.Config.Name, st)
	}
}

// starts is true for a change that gives a node something to install. A ping has no event.
func starts(c rollout.Change) bool {
	return c.Intent != nil && c.Intent.State == node.StateInstalled && !c.Entered && c.Event != rollout.EventPrefetch && c.Event != ""
}

// Begins is true for a change that begins something on a node other than a removal: a grant, what
// it is to install, or what it is to fetch ahead of time. An intent that vanished and is given back
// begins nothing, because the agent follows it already.
func Begins(c rollout.Change) bool {
	followed := c.Intent != nil && c.Node.Report != nil && c.Node.Report.IntentID == c.Intent.ID
	return c.Entered && c.Event != rollout.EventLapse || c.Event == rollout.EventPrefetch || starts(c) && !followed
}

// withinWidth holds for the nodes that one KataConfig begins to work on: none while it is paused,
// of each payload one until it is proved, and at most maxParallel of all together.
func (c *check) withinWidth(p selection.Pool) {
	of := p.Config
	for _, n := range slices.Concat(p.Members, p.Leaving) {
		if _, changed := c.changes[n.Name]; changed && of.Paused && !of.Deleting {
			c.fails("%s is changed although %s is paused", n.Name, of.Name)
		}
	}
	begun, moving := 0, 0
	for _, payload := range payloadsOf(p) {
		b, m, proven := c.crew(p, payload)
		if b > 0 && !proven && b+m > 1 {
			c.fails("%s starts %s on %d nodes while %d work, and none has proved it: %+v", of.Name, payload, b, m, c.changes)
		}
		c.stopsAtFailures(p, payload, b, proven)
		begun, moving = begun+b, moving+m
	}
	if begun > 0 && begun+moving > of.MaxParallel {
		c.fails("%s starts on %d nodes while %d work, and may work on %d: %+v", of.Name, begun, moving, of.MaxParallel, c.changes)
	}
}

// crew counts the members that begin with a payload, and that are at work on it.
func (c *check) crew(p selection.Pool, payload string) (begun, moving int, proven bool) {
	for _, n := range p.Members {
		proven = proven || n.Settled() && n.Intent.Payload == payload
		switch {
		case n.Wanted == nil || n.Wanted.Payload != payload:
		case starts(c.changes[n.Name]) && !n.Resumes():
			begun++
		case n.Carries() && c.moves(n.Node):
			moving++
		}
	}
	return begun, moving, proven
}

// moves is true for a node that is certain to get further by itself.
func (c *check) moves(n facts.Node) bool {
	answers := n.Answered() && n.Report.Error == nil && n.Report.HostCheck == "" && c.now.Sub(n.Since) < c.settings.ProgressDeadline
	answers = answers && (!n.Pinged() || c.now.Sub(n.Intent.Ping) < c.settings.AgentDeadline)
	return n.Ready && answers && !n.Settled()
}

// payloadsOf are those that the members of a pool should have.
func payloadsOf(p selection.Pool) []string {
	var out []string
	for _, m := range p.Members {
		if m.Wanted != nil && !slices.Contains(out, m.Wanted.Payload) {
			out = append(out, m.Wanted.Payload)
		}
	}
	return out
}

// mostUnproven is how many nodes may fail with a payload that none has proved.
const mostUnproven = 3

// stopsAtFailures holds for a payload with which several nodes have failed, and that none has
// proved: no further node starts with it.
func (c *check) stopsAtFailures(p selection.Pool, payload string, begun int, proven bool) {
	failed := 0
	for _, n := range p.Members {
		if n.Wanted != nil && n.Wanted.Payload == payload && n.Carries() && c.failed(n.Node) {
			failed++
		}
	}
	if begun > 0 && !proven && failed >= mostUnproven {
		c.fails("%s starts %s on %d nodes after %d have failed with it", p.Config.Name, payload, begun, failed)
	}
}

// failed is true for a node whose error has lasted.
func (c *check) failed(n facts.Node) bool {
	return n.Ready && n.Answered() && n.Report.Error != nil && n.Report.HostCheck == "" && !n.Since.IsZero() && c.now.Sub(n.Since) >= c.settings.FailureGrace
}

// rebootsWithinBudget counts everything that is unavailable, by what the decision was made from.
func (c *check) rebootsWithinBudget(p selection.Pool) {
	unavailable, more := 0, 0
	for _, m := range p.Members {
		switch {
		case !m.Available(), c.underway(m.Node):
			unavailable++
		case c.changes[m.Name].Event == rollout.EventReboot:
			more++
		}
	}
	if more > 0 && unavailable+more > rollout.Budget(p) {
		c.fails("%s lets %d nodes reboot while %d are unavailable, and may have %d", p.Config.Name, more, unavailable, rollout.Budget(p))
	}
}

// underway is true for a grant of this boot that was given not long ago.
func (c *check) underway(n facts.Node) bool {
	return n.Answered() && n.Report.RebootRequired && n.Intent.Grants.Reboot == n.Report.BootID && c.now.Sub(n.Since) < c.settings.ProgressDeadline
}
