// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// Limits say how long a node may do nothing, 0 for ever, and when it is pinged. All are by the
// controller's own clock.
type Limits struct {
	// Answer is for a node that does not answer its intent, or whose kubelet is not Ready.
	Answer time.Duration
	// Progress is for a node that answered and stays as it is.
	Progress time.Duration
	// Grace is for a failed node: within it, an agent may recover, and the node keeps its place.
	Grace time.Duration
	// Ping is the longest time between two pings of a node at rest, 0 for none.
	Ping time.Duration
}

// standing is how far a member is that carries the wanted intent.
type standing int

const (
	// settled serves the payload, proved, without an error.
	settled standing = iota
	// moving is expected to come to an end by itself.
	moving
	// failing reported an error, made no progress, or went down in its own restart or reboot, long
	// ago: it counts towards maxFailures and no longer towards maxParallel.
	failing
	// excused says nothing about the payload: its host is unfit, its kubelet or its agent is away,
	// or the machine-config operator works on it.
	excused
)

// standing decides what a node means for the others. The first node of a payload gives its place to
// the next one unless it is moving: one broken node must never hold a fleet.
func (l Limits) standing(n facts.Node, now time.Time) (is standing, until time.Time) {
	switch {
	case n.Settled():
		return settled, time.Time{}
	case unfit(n):
		return excused, time.Time{}
	case !n.Ready && wentDown(n):
		return expired(n.Since, l.Answer, now, failing)
	case !n.Ready || n.ReportProblem != "":
		return expired(n.Since, l.Answer, now, excused)
	case n.Intent != nil && !n.Answered():
		return expired(n.Intent.Issued, l.Answer, now, excused)
	case n.Pinged():
		return expired(n.Intent.Ping, l.Answer, now, excused)
	case n.Report.Error != nil:
		return expired(n.Since, l.Grace, now, failing)
	case n.Busy != "":
		return expired(n.Since, l.Progress, now, excused)
	case n.AsksReboot(), n.Report.Phase == node.PhaseAwaitingGrant && !granted(n) && !rebooting(n):
		return moving, time.Time{}
	default:
		return expired(n.Since, l.Progress, now, failing)
	}
}

// wentDown is true for a node without a Ready kubelet whose installation is the likely cause: its
// agent has used a grant in this boot, or one was taken back from it, which its agent has not
// answered, or it says what is wrong. Without this, a payload that breaks CRI-O would take down one
// node after the other until maxUnavailable ends it.
func wentDown(n facts.Node) bool {
	if !n.Answered() {
		return false
	}
	return n.Report.Error != nil || n.Pinged() || rebooting(n) || granted(n) && n.Report.Phase != node.PhaseAwaitingGrant
}

// unfit is true where the host itself, or its architecture, rules the payload out.
func unfit(n facts.Node) bool {
	return n.Report != nil && (n.Report.HostCheck != "" || n.Answered() && n.Report.Error != nil && n.Report.Error.Reason == node.ReasonPayloadUnfit)
}

// judgedForAnother is true where what a member says of its host may be about another payload than
// the wanted one.
func judgedForAnother(m selection.Member) bool {
	return m.Intent != nil && m.Intent.Payload != "" && m.Intent.Payload != m.Wanted.Payload
}

// expired returns moving until the limit has passed, and when that is. A node that was never seen
// before is new.
func expired(since time.Time, limit time.Duration, now time.Time, then standing) (is standing, until time.Time) {
	if since.IsZero() || limit == 0 {
		return moving, time.Time{}
	}
	if due := since.Add(limit); now.Before(due) {
		return moving, due
	}
	return then, time.Time{}
}

// granted is true while the intent carries the grant of the reported boot.
func granted(n facts.Node) bool {
	return n.Intent != nil && n.Report != nil && n.Intent.Grants.RestartCRIO == n.Report.BootID
}
