// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// leaving walks the handshake of a removal: Absent is written, the agent answers it, label and
// intent go.
func leaving(m selection.Member, now time.Time) Change {
	switch {
	case !m.Carries():
		wanted := *m.Wanted
		wanted.Issued = now
		return Change{Node: m.Node, Intent: &wanted, Event: EventRemove, Message: "Kata is no longer wanted on this node"}
	case !m.Answered():
		return Change{Node: m.Node}
	case m.Report.BoundPods.Count > 0:
		return Change{Node: m.Node}
	case m.Report.Phase == node.PhaseAbsent:
		return Change{Node: m.Node, ClearIntent: true, Label: cleared(m.Node), Event: EventRemoved, Message: "nothing of Kata is left on this node"}
	case cleared(m.Node) == LabelCleared:
		return Change{Node: m.Node, Label: LabelCleared, Event: EventWithdraw, Message: "no kata pod is bound any more: none will be scheduled here"}
	default:
		return Change{Node: m.Node}
	}
}

func cleared(n facts.Node) Label {
	if n.Labelled() || len(n.FurtherLabels()) > 0 {
		return LabelCleared
	}
	return LabelKept
}
