// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// starts names the members that get the wanted intent now. The first node of a payload goes alone: until it has proved the payload, or is found unfit for any, no other node follows.
// After that at most maxParallel nodes are on their way; a failed one is on its way until somebody mends it, so that a bad payload stops by itself.
func starts(p selection.Pool) map[string]bool {
	out := map[string]bool{}
	if p.Config.Refused != nil || !p.Config.Accepted {
		return out
	}
	busy, proven := 0, false
	var queue []facts.Node
	for _, n := range p.Members {
		wanted, _ := p.Config.Wanted(n)
		switch {
		case n.Carries(wanted):
			proven = proven || n.Settled()
			busy += onTheWay(n)
		case resumes(n, wanted):
			out[n.Name] = true
			busy += onTheWay(n)
		case n.Obstacle() == "":
			proven = proven || n.Settled() && n.Intent.Payload == p.Config.Payload
			queue = append(queue, n)
		}
	}
	for _, n := range first(queue, width(p.Config, proven)-busy) {
		out[n.Name] = true
	}
	return out
}

func width(c facts.Config, proven bool) int {
	if !proven {
		return 1
	}
	return max(c.MaxParallel, 1)
}

// onTheWay counts a node that carries the wanted intent. One whose host cannot run Kata says nothing about the payload, and does not hold up the others.
func onTheWay(n facts.Node) int {
	if n.Settled() || n.Report != nil && n.Report.HostCheck != "" {
		return 0
	}
	return 1
}

// resumes is true when the intent vanished, or was edited, under an agent that already works on it: giving it back starts nothing.
func resumes(n facts.Node, wanted node.Intent) bool {
	return n.Report != nil && n.Report.IntentID == wanted.ID
}

// first orders the queue: fit hosts first, among them those that are stuck with an older intent, then by name.
func first(queue []facts.Node, count int) []facts.Node {
	slices.SortStableFunc(queue, func(a, b facts.Node) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	return queue[:min(max(count, 0), len(queue))]
}

func rank(n facts.Node) int {
	switch {
	case n.Report.HostCheck != "":
		return 2
	case n.Intent != nil && !n.Settled():
		return 0
	default:
		return 1
	}
}

// grants names the members that may restart CRI-O now, so that no more than maxUnavailable members are unavailable for any reason.
// A node that is unavailable already costs nothing.
func grants(p selection.Pool) map[string]bool {
	out := map[string]bool{}
	if p.Config.Refused != nil {
		return out
	}
	budget := Budget(p)
	for _, n := range p.Members {
		if unavailable(n) {
			budget--
		}
	}
	for _, n := range p.Members {
		switch {
		case !asks(n):
		case unavailable(n):
			out[n.Name] = true
		case budget > 0:
			out[n.Name] = true
			budget--
		}
	}
	return out
}

// Budget is maxUnavailable in nodes: a percentage is rounded down, and never below one.
func Budget(p selection.Pool) int {
	budget, err := intstr.GetScaledValueFromIntOrPercent(&p.Config.MaxUnavailable, len(p.Members), false)
	if err != nil {
		return facts.DefaultMaxUnavailable
	}
	return max(budget, 1)
}

// asks is true when the agent waits for a grant that its intent does not have for this boot.
func asks(n facts.Node) bool {
	return n.Answered() && n.Report.Phase == node.PhaseAwaitingGrant && n.Intent.Grants.RestartCRIO != n.Report.BootID
}

func unavailable(n facts.Node) bool {
	return !n.Available() || outstanding(n)
}

// outstanding is true from the grant until the agent has reported the end of what it was for, or another boot.
func outstanding(n facts.Node) bool {
	return n.Intent != nil && n.Intent.Grants.RestartCRIO != "" && !n.Settled() &&
		(n.Report == nil || n.Report.BootID == n.Intent.Grants.RestartCRIO)
}
