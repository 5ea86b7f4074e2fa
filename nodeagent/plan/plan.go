// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/packages"
)

// Plan is what is left to do, as far as these facts tell.
type Plan struct {
	// Lines are independent lists of steps, the most urgent one first. A pass carries out the first
	// step of the first line that can be carried out now: a line whose step fails holds up no other
	// line.
	Lines [][]Step
	// Tidy are steps that nothing waits for and that wait for nothing.
	Tidy []Step
	// Room are those steps of Tidy that make room on the disk: the deletion of payloads that
	// nothing needs, and what has to precede it. They come before a pull.
	Room []Step
	// Phase is where the node stands with these facts.
	Phase node.Phase
	// Problem says why no step leads to what is wanted: a person has to fix something first.
	Problem *Problem
	// Packages is what was decided about the host's own programs, nil where that was no question.
	Packages *packages.Decision
	// Reboot says what for this node has to be rebooted, when the controller grants it; empty where
	// it need not be. Leaving says what the reboot waits for, empty where nothing holds it or it is
	// not granted.
	Reboot, Leaving string
	// Notice is what a person should know, whatever the plan is; empty where there is nothing.
	Notice string
	// Wait says what the plan waits for at this moment, empty when nothing is.
	Wait string
	// Stray says for what the end of an older payload waits that does not end with a pod: a process
	// of no sandbox that CRI-O lists, or a sandbox that CRI-O cannot stop. Nothing else waits for
	// it.
	Stray string
	// Older says what kind of users hold older payloads, empty where none is held.
	Older string
	// Alone is whether the node has no controller, see [Cluster].
	Alone bool
}

// Problem is a fact that stands in the way of what is wanted.
type Problem struct {
	// Step is the kind of step that it keeps from being planned.
	Step Kind
	// Reason is one of the reasons of api/node.
	Reason  string
	Message string
}

// Steps returns the steps of all lines, in the order in which they would be carried out if none
// failed.
func (p Plan) Steps() []Step {
	var all []Step
	for _, line := range p.Lines {
		all = append(all, line...)
	}
	return all
}

// Next returns the first step of each line.
func (p Plan) Next() []Step {
	var next []Step
	for _, line := range p.Lines {
		next = append(next, line[0])
	}
	return next
}

// For returns the plan for these facts. An absent intent means keep what is there: only an explicit
// Absent removes. Whatever is wanted, links that lead nowhere are repaired first.
func For(f Facts) Plan {
	p := &planner{facts: f, plan: Plan{Alone: f.Cluster.Alone}, linked: f.Slots}
	p.repair()
	p.arm()
	p.urgent = len(p.plan.Lines)
	if f.Runtime.Active && len(f.Runtime.Restarted.Dependents) > 0 {
		p.tidy(Step{Kind: StartDependents})
	}
	switch {
	case f.Intent.Problem != "" && !p.facts.installed(), f.Intent.Wanted == nil && !p.facts.installed():
		p.plan.Phase = node.PhaseIdle
	case f.Intent.Problem != "":
		p.hold(unread(f.Intent))
	case f.Intent.Wanted == nil:
		p.orphaned()
	case f.Intent.Wanted.State == node.StateAbsent:
		p.remove()
	case f.Host.Problem != "":
		p.hold(node.PhaseInstalling)
		p.keepIntent()
	default:
		p.install()
	}
	p.forgetPackages()
	p.reboot()
	p.leaveAlone()
	if p.plan.Wait == "" {
		p.plan.Stray = f.stray()
	}
	p.plan.Older = f.older()
	p.plan.Notice = strings.Join(slices.DeleteFunc([]string{f.Slots.notice(), f.crashed()}, func(s string) bool { return s == "" }), "; ")
	return p.plan
}

// unread is the phase of a node whose intent cannot be followed. It is never Installed: that would
// answer an intent whose payload is not known.
func unread(i Intent) node.Phase {
	if i.Wanted != nil && i.Wanted.State == node.StateAbsent {
		return node.PhaseRemoving
	}
	return node.PhaseInstalling
}

type planner struct {
	// facts are as they will be once the lines planned so far are carried out.
	facts Facts
	plan  Plan
	// linked are the links as observed.
	linked Slots
	// urgent is how many lines come before a reboot.
	urgent int
}

func (p *planner) line(steps ...Step) {
	if len(steps) > 0 {
		p.plan.Lines = append(p.plan.Lines, steps)
	}
}

// keepIntent writes the intent to disk on a line of its own, where nothing waits for it.
func (p *planner) keepIntent() {
	if !p.facts.Intent.Kept {
		p.line(Step{Kind: Keep})
	}
}

func (p *planner) tidy(s Step) { p.plan.Tidy = append(p.plan.Tidy, s) }

// repair plans Repair before anything else.
func (p *planner) repair() {
	for _, step := range Repair(p.facts.Slots) {
		if step.Kind == PointCurrent {
			p.facts.Slots.Current = Pending
		} else {
			p.facts.Slots.Proof = Pending
		}
		p.line(step)
	}
}

// arm plans the drop-in of an armed node, whatever is wanted.
func (p *planner) arm() {
	if arms(p.facts) {
		p.line(p.dropIn()...)
		p.facts.Runtime.DropIn = DropIn{Exists: true, Right: true, Hidden: p.facts.Runtime.DropIn.Hidden}
	}
}

// arms reports whether CRI-O is to get the handlers ahead of time. What another file's owner has
// claimed is not taken over, and no host is changed that cannot run Kata.
func arms(f Facts) bool {
	return f.Host.Armed && f.Host.Problem == "" && !f.Runtime.DropIn.Right && len(f.Runtime.Conflicts) == 0
}

// Prepare returns what has to be done before CRI-O starts, whatever is wanted.
func Prepare(f Facts) []Step {
	steps := Repair(f.Slots)
	if arms(f) && len(f.Slots.partial()) == 0 { // Else the first pass writes it.
		steps = append(steps, Step{Kind: WriteDropIn})
	}
	return steps
}

// dropIn writes the drop-in once all that it names is there: it has the handlers of every payload,
// below current and proof. Where a slot there cannot be completed now, that of the older agent
// stays.
func (p *planner) dropIn() []Step {
	var steps []Step
	for _, slot := range p.linked.partial() {
		if !p.equipped(slot.ID) {
			return nil
		}
		steps = append(steps, Step{Kind: Configure, Payload: slot.Payload, Slot: slot.ID})
	}
	return append(steps, Step{Kind: WriteDropIn})
}

// partial are the slots that current and proof lead to in which an older agent has left files of
// fewer handlers.
func (s Slots) partial() (found []Slot) {
	for _, slot := range s.All {
		if slot.Partial && (slot.ID == s.Current || slot.ID == s.Proof) {
			found = append(found, slot)
		}
	}
	return found
}

// Repair returns the steps that point links at pending which lead to nothing that could be served,
// such as after an umount by hand or a restart of the system that kept /run: CRI-O ignores a
// handler whose path does not resolve, until its next start.
func Repair(s Slots) []Step {
	var steps []Step
	if !s.leads(s.Current) {
		steps = append(steps, Step{Kind: PointCurrent, Slot: Pending})
	}
	if !s.leads(s.Proof) {
		steps = append(steps, Step{Kind: PointProof, Slot: Pending})
	}
	return steps
}
