// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// reboot plans what the controller has granted, and puts the node back into service afterwards. It
// is the last of all to be planned and, after links that lead nowhere, the first to be carried out:
// an installation on a host that goes down is of no use. A reboot is for a node that is to serve;
// no removal asks for one.
func (p *planner) reboot() {
	f := p.facts
	p.plan.Reboot = cmp.Or(p.plan.Reboot, f.Host.RebootRequired)
	done := f.Rebooted.Boot != "" && f.Rebooted.Boot != f.Host.BootID
	switch {
	case done && p.plan.Reboot == "" && p.plan.Phase == node.PhaseInstalled: // Before that, not all is known.
		p.tidy(Step{Kind: ForgetReboot})
	case done && p.plan.Reboot == f.Rebooted.Reason:
		p.inVain()
	}
	if steps := p.leave(); len(steps) > 0 {
		p.plan.Lines = slices.DeleteFunc(p.plan.Lines, ahead)
		p.plan.Lines = slices.Insert(p.plan.Lines, p.urgent, steps)
	}
}

// ahead is true for a line that is for later: it waits until nothing else is to be done.
func ahead(line []Step) bool {
	return slices.ContainsFunc(line, func(s Step) bool { return s.Kind == Prefetch || s.Kind == BuildAhead })
}

// inVain keeps the node from rebooting for the same again and again.
func (p *planner) inVain() {
	if p.plan.Problem == nil && p.serves() {
		p.problem(RebootNode, node.ReasonRebootInVain,
			"this node was rebooted and has to be again, so that did not help: see journalctl -b -1, and delete /var/lib/kata-agent/rebooted.json for another try; it was for: "+p.plan.Reboot)
	}
	p.plan.Reboot = ""
}

// serves is true for a node that is to have a payload.
func (p *planner) serves() bool {
	return p.facts.Intent.Wanted != nil && p.facts.Intent.Wanted.State == node.StateInstalled && p.facts.Intent.Problem == ""
}

// leave returns the way down, where this boot may end, or the way back. A node that another person
// made unschedulable stays so.
func (p *planner) leave() []Step {
	f := p.facts
	granted := p.plan.Reboot != "" && p.serves() && f.Intent.Shown && f.Intent.Wanted.Grants.Reboot == f.Host.BootID
	switch {
	case f.Cluster.Busy != "":
		return nil
	case granted:
		return p.evacuate()
	case f.Cluster.CordonedIn != "":
		return []Step{{Kind: Uncordon}}
	}
	return nil
}

// evacuate takes the node out of service before the machine goes down.
func (p *planner) evacuate() []Step {
	c := p.facts.Cluster
	if !c.PodsKnown {
		p.plan.Leaving = "the API server, which this node cannot reach"
		return nil
	}
	down := Step{Kind: RebootNode, Object: p.plan.Reboot}
	var steps []Step
	if !c.Cordoned {
		steps = append(steps, Step{Kind: Cordon})
	}
	if len(c.Evictable) > 0 {
		p.plan.Leaving = "pods to be evicted: " + some(c.Evictable)
		return append(steps, Step{Kind: Drain}, down)
	}
	if len(c.Ending) > 0 {
		p.plan.Leaving = "evicted pods to end: " + some(c.Ending)
		return steps
	}
	return append(steps, down)
}
