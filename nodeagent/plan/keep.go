// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/kata-node/kata-node/api/node"

// hold keeps what is there without working towards anything new.
func (p *planner) hold(phase node.Phase) {
	p.plan.Phase = phase
	p.keepServing()
	p.proveAgain()
	p.verifyAgain()
	if p.facts.Slots.Current == Pending && p.facts.Store.Served != nil {
		p.nameStore()
	}
}

// orphaned holds an installation for which there is no intent anywhere. The controller cleans what
// it does not want: the phase tells it that there is something.
func (p *planner) orphaned() {
	p.hold(node.PhaseInstalling)
	if _, serving := p.facts.Serving(); serving && len(p.plan.Lines) == 0 {
		p.plan.Phase = node.PhaseInstalled
		return
	}
	p.plan.Wait = p.facts.Cluster.decision()
}

// keepServing lets pods of what was served last start again, from the local store alone: whatever
// holds the node back, they are bound here. It is what every state does that takes nothing away.
func (p *planner) keepServing() {
	served := p.facts.Store.Served
	if served == nil {
		return
	}
	if p.restorable() && p.facts.Slots.Current == Pending {
		p.line(p.restore()...)
	}
	if !p.facts.Runtime.DropIn.Right {
		p.line(p.dropIn()...)
	}
}

// proveAgain serves what was served last on another kernel or with other settings, where it needs
// another slot and a proof of it.
func (p *planner) proveAgain() {
	served, f := p.facts.Store.Served, p.facts
	if served == nil || p.restorable() || f.Slots.Current != Pending || f.Host.Problem != "" || f.Host.SettingsProblem != "" {
		return
	}
	w := &way{planner: p, payload: served.Payload, id: f.id(served.Payload), held: true}
	wait, problem := p.plan.Wait, p.plan.Problem
	if w.id != "" {
		w.plan()
		p.line(w.steps...)
	}
	p.plan.Wait, p.plan.Problem = wait, problem
}

// restorable reports whether what was served last can be served again without another proof: it was
// proved on this kernel with these settings, is in the store or still mounted, and the host still
// has what it needs.
func (p *planner) restorable() bool {
	served := p.facts.Store.Served
	return served != nil && p.facts.id(served.Payload) == served.Slot && p.equipped(served.Slot)
}

// restore prepares what was served last and points current at it.
func (p *planner) restore() []Step {
	served := p.facts.Store.Served
	steps := p.prepare(served.Payload, served.Slot)
	p.facts.Slots.Current = served.Slot
	return append(steps, Step{Kind: PointCurrent, Payload: served.Payload, Slot: served.Slot})
}

// prepare makes a slot ready.
func (p *planner) prepare(payload, id string) []Step {
	slot, _ := p.facts.Slots.find(id)
	if _, resumes := p.resumes(id); resumes {
		return []Step{{Kind: Resume, Payload: payload, Slot: id}}
	}
	var steps []Step
	for _, step := range []struct {
		kind Kind
		done bool
	}{
		{Mount, slot.Mounted},
		{Verify, slot.Mounted && slot.Verified != nil},
		{BuildGuest, !slot.Mounted || !slot.lacksGuest()},
		{Configure, slot.Mounted && slot.Configured && !slot.Partial},
	} {
		if !step.done {
			steps = append(steps, Step{Kind: step.kind, Payload: payload, Slot: id})
		}
	}
	return steps
}
