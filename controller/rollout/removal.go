// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
)

// leaving walks the handshake of a removal: Absent is written, the agent answers it, label and
// intent go.
func leaving(n facts.Node, owner node.Owner, now time.Time) Change {
	wanted := node.Intent{Owner: owner, State: node.StateAbsent}.Identify(n.UID)
	switch {
	case !n.Carries(wanted):
		wanted.Issued = now
		return Change{Node: n, Intent: &wanted, Event: EventRemove, Message: "Kata is no longer wanted on this node"}
	case !n.Answered():
		return Change{Node: n}
	case n.Report.BoundPods.Count > 0:
		return Change{Node: n}
	case n.Report.Phase == node.PhaseAbsent:
		return Change{Node: n, ClearIntent: true, Label: cleared(n), Event: EventRemoved, Message: "nothing of Kata is left on this node"}
	case n.Labelled():
		return Change{Node: n, Label: LabelCleared, Event: EventWithdraw, Message: "no kata pod is bound any more: none will be scheduled here"}
	default:
		return Change{Node: n}
	}
}

// unowned cleans a node whose KataConfig was deleted. A label that was left behind is reason enough
// to ask the agent for an Absent: only its answer says that no kata pod is bound, and a restarting
// kubelet would reject every one of them without the label.
func unowned(n facts.Node, now time.Time) Change {
	switch {
	case n.Intent != nil:
		return leaving(n, n.Intent.Owner, now)
	case n.HasIntent, n.Installation(), n.Labelled() && n.Report != nil:
		return leaving(n, node.Owner{}, now)
	default:
		return Change{Node: n}
	}
}

func cleared(n facts.Node) Label {
	if n.Labelled() {
		return LabelCleared
	}
	return LabelKept
}
