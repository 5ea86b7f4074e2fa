// SPDX-License-Identifier: Apache-2.0

// Package rollout decides what changes on each node next: its intent, its one-shot grants and its
// ready label. It is a pure function of a pool and the time; two calls with the same facts return
// the same changes.
package rollout

import (
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/selection"
)

// Label is what happens to the ready label.
type Label int

// What may happen to the ready label.
const (
	LabelKept Label = iota
	LabelSet
	LabelCleared
)

// Change is everything that one patch does to one node.
type Change struct {
	Node facts.Node
	// Intent is the new intent, nil when the present one stays.
	Intent *node.Intent
	// ClearIntent removes the intent: the node answered its Absent.
	ClearIntent bool
	Label       Label
	// Further are names of further handlers whose labels are set. They are removed with the ready
	// label.
	Further []string
	// Untaint removes the start-up taint.
	Untaint bool
	// Entered is true for a grant, and for its withdrawal. It is not written before the ledger has
	// its entry.
	Entered bool
	// Event is one word and Message one sentence for the node's events. A ping has none.
	Event   string
	Message string
}

// Events of changes.
const (
	EventInstall  = "KataInstall"
	EventUpdate   = "KataUpdate"
	EventGrant    = "KataRestartGranted"
	EventReboot   = "KataRebootGranted"
	EventLapse    = "KataGrantWithdrawn"
	EventPrefetch = "KataPrefetch"
	EventReady    = "KataReady"
	EventUntaint  = "KataTaintRemoved"
	EventRemove   = "KataRemove"
	EventWithdraw = "KataWithdrawn"
	EventRemoved  = "KataRemoved"
)

// Plan returns the changes to a pool's nodes. Paused, it returns none, unless the KataConfig is
// being deleted.
func Plan(p selection.Pool, pace Pace, now time.Time) []Change {
	if p.Config.Paused && !p.Config.Deleting {
		return nil
	}
	var changes []Change
	for _, m := range p.Members {
		changes = appendChange(changes, member(p, m, pace, now))
	}
	for _, m := range p.Leaving {
		changes = appendChange(changes, leaving(m, now))
	}
	return changes
}

// PlanUnowned returns the changes to nodes that belong to no KataConfig: whatever is installed
// there is removed.
func PlanUnowned(nodes []selection.Member, now time.Time) []Change {
	var changes []Change
	for _, m := range nodes {
		if m.Wanted != nil {
			changes = appendChange(changes, leaving(m, now))
		}
	}
	return changes
}

func appendChange(changes []Change, c Change) []Change {
	if c.Intent == nil && !c.ClearIntent && c.Label == LabelKept && len(c.Further) == 0 && !c.Untaint {
		return changes
	}
	return append(changes, c)
}

func member(p selection.Pool, m selection.Member, pace Pace, now time.Time) Change {
	change := Change{Node: m.Node}
	switch {
	case m.Wanted != nil && pace.starts[m.Name]:
		change.Intent, change.Event, change.Message = begin(*m.Wanted, m.Node, now)
	case pace.grants[m.Name] == ledger.RestartCRIO:
		change.Intent, change.Entered = withGrant(*m.Intent, func(g *node.Grants) { g.RestartCRIO = m.Report.BootID }), true
		change.Event, change.Message = EventGrant, "CRI-O may be restarted once in this boot"
	case pace.grants[m.Name] == ledger.Reboot:
		change.Intent, change.Entered = withGrant(*m.Intent, func(g *node.Grants) { g.Reboot = m.Report.BootID }), true
		change.Event, change.Message = EventReboot, "the node may be drained and rebooted once"
	case pace.grants[m.Name] == ledger.Withdrawn:
		change.Intent, change.Entered = withoutGrants(*m.Intent, pace.kept[m.Name], now), true
		change.Event, change.Message = EventLapse, "the node has not used its grant in time: others may get what it was granted"
	case proved(m.Node) && !m.Labelled() && !p.Config.Withheld:
		change.Label, change.Further, change.Untaint = LabelSet, usable(m.Node), m.Starting
		change.Event, change.Message = EventReady, "a sandbox of the payload has started: kata pods may be scheduled here"
	case proved(m.Node) && m.Starting && m.Labelled():
		change.Untaint, change.Event, change.Message = true, EventUntaint, "taint "+node.StartupTaint+" is removed: the node is ready"
	case proved(m.Node) && len(usable(m.Node)) > 0 && !p.Config.Withheld:
		change.Further = usable(m.Node)
		change.Event, change.Message = EventReady, "pods of further handlers may be scheduled here: "+strings.Join(change.Further, ", ")
	case pace.fetches[m.Name]:
		change.Intent = withPrefetch(*m.Intent, selection.Ahead(p.Config, m.Node))
		change.Event, change.Message = EventPrefetch, "nothing is to be fetched ahead of time any more"
		if image := change.Intent.Prefetch; image != "" {
			change.Message = "to fetch ahead of time, and not to serve yet: " + image
		}
	case pace.pings[m.Name]:
		change.Intent = withPing(*m.Intent, now)
	}
	return change
}

func begin(wanted node.Intent, n facts.Node, now time.Time) (intent *node.Intent, event, message string) {
	wanted.Issued, wanted.Ping = now, pingAt(now)
	if n.Report != nil && n.Report.IntentID == wanted.ID && !n.Report.Ping.IsZero() {
		wanted.Ping = n.Report.Ping // An intent that vanished is given back: nothing is to be answered.
	}
	if n.Intent != nil && granted(n) && !n.Serves() {
		wanted.Grants.RestartCRIO = n.Intent.Grants.RestartCRIO
	}
	if rebooting(n) {
		wanted.Grants.Reboot = n.Intent.Grants.Reboot
	}
	if n.Labelled() {
		return &wanted, EventUpdate, "to serve " + wanted.Payload
	}
	return &wanted, EventInstall, "to install " + wanted.Payload
}

// withGrant leaves the time of issue as it is: the intent was answered, and its id does not change.
func withGrant(intent node.Intent, grant func(*node.Grants)) *node.Intent {
	grant(&intent.Grants)
	return &intent
}

// withoutGrants takes grants back, with a ping: a report that repeats it is of an agent that has
// seen so.
func withoutGrants(intent node.Intent, kept node.Grants, now time.Time) *node.Intent {
	intent.Grants = kept
	if ping := pingAt(now); ping.After(intent.Ping) {
		intent.Ping = ping
	} else {
		intent.Ping = intent.Ping.Add(time.Second) // An earlier one may be answered already.
	}
	return &intent
}

// proved asks both witnesses: the agent started a sandbox, and the kubelet knows the handler.
func proved(n facts.Node) bool {
	return n.Settled() && n.SameBoot() && n.HandlerServed()
}

// usable are the further handlers that the agent has proved and the kubelet knows, and whose label
// the node does not carry.
func usable(n facts.Node) []string {
	unusable := append(n.Lacking(), n.Unlisted()...)
	return slices.DeleteFunc(n.Unlabelled(), func(name string) bool { return slices.Contains(unusable, name) })
}
