// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// install serves again at boot what current served before, and works towards the intent's payload.
// The two are mostly the same; where they differ, neither waits for the other.
func (p *planner) install() {
	p.plan.Phase = node.PhaseInstalling
	w := &way{planner: p, payload: p.facts.Intent.Wanted.Payload, further: p.facts.Intent.Wanted.Handlers}
	w.id = p.facts.id(w.payload)
	if served := p.facts.Store.Served; p.restorable() && served.Slot == w.id {
		if p.facts.Slots.Current == Pending {
			w.steps, w.prepared = p.restore(), true
		}
	} else {
		p.keepServing()
	}
	if !p.facts.Intent.Kept {
		w.do(Keep)
	}
	w.plan()
	p.line(w.steps...)
	p.nameStore()
	p.settle(w)
	p.returned()
	p.buildAhead(w)
	p.prefetch()
	p.retire(w.id)
}

// prefetch is the last of all: it begins where nothing else is to be done, and not while others
// work on the node. What it fetches changes nothing until an intent names it as its payload. The
// disk has to know of it, or the next boot would delete it.
func (p *planner) prefetch() {
	f := p.facts
	if p.plan.Phase != node.PhaseInstalled || !f.Intent.Shown {
		return
	}
	var steps []Step
	if f.Intent.Stale {
		steps = append(steps, Step{Kind: Keep})
	}
	ahead := f.Intent.Wanted.Prefetch
	if ahead != "" && f.Prefetched() == "" && f.Store.Problem == "" && f.Cluster.Busy == "" {
		steps = append(steps, Step{Kind: Prefetch, Payload: ahead})
	}
	p.line(steps...)
}

// nameStore names a store that cannot be read, also while a payload serves: it will not at the next
// boot.
func (p *planner) nameStore() {
	if p.facts.Store.Problem != "" && p.plan.Problem == nil {
		p.problem(Pull, node.ReasonStoreUnreadable, p.facts.Store.Problem)
	}
}

// settle names the phase. What a plan waits for counts where no step of the way can be carried out.
func (p *planner) settle(w *way) {
	switch {
	case p.plan.Problem != nil, w.unfit:
	case len(w.steps) > 0:
		p.plan.Wait = ""
	case w.awaitsGrant:
		p.plan.Phase = node.PhaseAwaitingGrant
	case len(p.plan.Lines) == 0 && p.plan.Wait == "" && w.id != "" && p.facts.Slots.Current == w.id:
		p.plan.Phase = node.PhaseInstalled
	}
}

// way is what a payload goes through until new pods get it.
type way struct {
	*planner
	payload, id string
	// further are names of the further handlers that have to be proved, too.
	further []string
	// prepared is whether the steps make the slot ready already.
	prepared    bool
	steps       []Step
	awaitsGrant bool
	// unfit is whether this host cannot run the payload.
	unfit bool
	// held is whether the way is that of a payload which was not asked for anew: CRI-O is not
	// restarted for it.
	held bool
}

func (w *way) do(kind Kind) {
	s := Step{Kind: kind, Payload: w.payload, Slot: w.id}
	if kind == Keep || kind == LoadModules || kind == RestartCRIO {
		s = Step{Kind: kind}
	}
	w.steps = append(w.steps, s)
}

// plan adds the steps, as far as nothing stands in the way.
func (w *way) plan() {
	if !w.clear() || !w.fetch() || !w.fits() || !w.packages() {
		return
	}
	if !w.prepared {
		w.steps = append(w.steps, w.prepare(w.payload, w.id)...)
	}
	w.modules()
	if !w.handlers() {
		return
	}
	if !w.prove() {
		w.dropPackages()
		return
	}
	w.promote()
	if !w.pointsProof() {
		w.do(PointProof)
	}
	w.dropPackages()
}

// clear reports whether this host may be changed for the payload at all.
func (w *way) clear() bool {
	f := w.facts
	if f.Host.SettingsProblem != "" {
		return w.problem(Configure, node.ReasonSettingsUnreadable, f.Host.SettingsProblem)
	}
	return w.unclaimed()
}

// fetch plans the pull, where neither the store nor a slot has the payload.
func (w *way) fetch() bool {
	slot, _ := w.facts.Slots.find(w.id)
	_, here := w.facts.Store.image(w.payload)
	switch {
	case here, w.id != "" && slot.Ready():
	case w.facts.Store.Problem != "":
		return false
	default:
		w.leaveProof()
		w.do(Pull)
	}
	return true
}

// leaveProof takes the link of proofs off a payload that is wanted no more, such as one that has
// failed: it is deleted before another one is pulled.
func (w *way) leaveProof() {
	s := w.facts.Slots
	slot, _ := s.find(s.Current)
	switch {
	case s.Proof == Pending, s.Proof == s.Current:
	case slot.Ready():
		w.steps = append(w.steps, Step{Kind: PointProof, Payload: slot.Payload, Slot: slot.ID})
	default:
		w.steps = append(w.steps, Step{Kind: PointProof, Slot: Pending})
	}
}

// prove starts one sandbox in each invocation of CRI-O, and so in each boot: what changes with them
// (CRI-O, the SELinux policy, a host's QEMU, /dev/kvm) is not covered by a slot's id. Pods are
// served meanwhile. A slot that is resumed is as it was when it was proved.
func (w *way) prove() bool {
	slot, _ := w.facts.Slots.find(w.id)
	proved, handlers := slot.Proved, slot.ProvedHandlers
	if found, resumes := w.resumes(w.id); resumes {
		proved, handlers = found.Proved.Invocation, found.Proved.Handlers
	}
	due := proved == "" || proved != w.facts.Runtime.Invocation
	var further []string
	for _, name := range w.further {
		if due || !slices.Contains(handlers, name) {
			further = append(further, name)
		}
	}
	if left := w.facts.Runtime.runningProofs(); (due || len(further) > 0) && len(left) >= maxProofs {
		return w.problem(Prove, node.ReasonProvePayloadFailed, fmt.Sprintf("%d sandboxes of earlier proofs still run and CRI-O does not remove them, such as %s: "+
			"no other one is started before that; journalctl -u crio says why their container did not start, and a reboot removes them", len(left), left[0].ID))
	}
	if due && w.givenUp() {
		return false
	}
	compared := due && w.compare()
	switch {
	case !due && len(further) == 0:
		return true // New pods come first, see plan.
	case compared || !w.pointsProof():
		w.do(PointProof)
	}
	if due {
		w.do(Prove)
	}
	for _, name := range further {
		w.steps = append(w.steps, Step{Kind: Prove, Payload: w.payload, Slot: w.id, Object: name})
	}
	return true
}

func (w *way) pointsProof() bool {
	return w.id != "" && w.facts.Slots.Proof == w.id || w.planned(PointProof)
}

func (w *way) planned(kind Kind) bool {
	return slices.ContainsFunc(w.steps, func(s Step) bool { return s.Kind == kind && s.Slot == w.id })
}

// maxProofs is how many sandboxes of proofs may be left running. Each is a VM with its memory.
const maxProofs = 3

// promote makes the proved slot current. It is recorded first: whatever is recorded may be served
// again at boot, and it is proved by now.
func (w *way) promote() {
	if w.facts.Slots.Current != w.id && w.id != "" && !w.reaches() {
		return
	}
	if served := w.facts.Store.Served; served == nil || served.Payload != w.payload || served.Slot != w.id {
		w.do(Record)
	}
	if w.facts.Slots.Current != w.id || w.id == "" {
		w.do(PointCurrent)
	}
}

func (p *planner) problem(step Kind, reason, message string) bool {
	p.plan.Problem = &Problem{Step: step, Reason: reason, Message: message}
	return false
}

func (p *planner) waitFor(what string) bool {
	p.plan.Wait = what
	return false
}
