// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// install restores at boot what current served before, then works towards the intent's payload; the two are mostly the same.
// An intent that cannot be followed, or a host that cannot run Kata, leaves it at the first half.
func install(f Facts) Plan {
	p := &planner{facts: f, plan: Plan{Phase: node.PhaseInstalling}}
	p.restore()
	if f.Intent.Problem == "" && f.Host.Problem == "" {
		p.serve(f.Intent.Wanted.Payload)
	}
	p.settle()
	p.retire()
	p.prefetch()
	return p.plan
}

// settle names the phase that a plan without further steps leaves the node in.
func (p *planner) settle() {
	id := p.wantedID()
	switch {
	case len(p.plan.Steps) > 0:
	case p.awaitsGrant:
		p.plan.Phase = node.PhaseAwaitingGrant
	case id != "" && p.facts.Slots.Current == id && p.plan.Wait == "" && p.plan.Problem == "":
		p.plan.Phase = node.PhaseInstalled
	}
}

// restore serves again, from the local store alone and without another proof, what was proved before this boot.
func (p *planner) restore() {
	served := p.facts.Store.Served
	if served == nil || p.facts.Slots.Current != Pending {
		return
	}
	image, here := p.facts.image(served.Payload)
	if !here || p.id(image) != served.Slot {
		return
	}
	p.prepare(served.Payload, served.Slot)
	p.do(PointCurrent, served.Payload, served.Slot)
	p.facts.Slots.Current = served.Slot
}

// serve makes the payload the one that new pods get, after a sandbox of it has been seen to start.
func (p *planner) serve(payload string) {
	image, here := p.facts.image(payload)
	if !here {
		p.do(Pull, payload, "")
	}
	id := ""
	if here {
		id = p.id(image)
	}
	p.prepare(payload, id)
	if !p.handlersLoaded() {
		return
	}
	p.prove(payload, id)
	p.promote(payload, id)
}

// promote makes the proved slot current. It is recorded first: whatever is recorded may be restored at boot, and it is proved by now.
func (p *planner) promote(payload, id string) {
	if p.facts.Store.Served == nil || *p.facts.Store.Served != (record.Served{Payload: payload, Slot: id}) {
		p.do(Record, payload, id)
	}
	if p.facts.Slots.Current != id || id == "" {
		p.do(PointCurrent, payload, id)
	}
}

func (p *planner) prepare(payload, id string) {
	v, _ := p.facts.slot(id)
	for _, step := range []struct {
		kind Kind
		done bool
	}{{Mount, v.Mounted}, {Verify, v.Verified}, {Configure, v.Configured}} {
		if !step.done && !p.planned(step.kind, id) {
			p.do(step.kind, payload, id)
		}
	}
}

func (p *planner) planned(kind Kind, id string) bool {
	for _, s := range p.plan.Steps {
		if s.Kind == kind && s.Slot == id {
			return true
		}
	}
	return false
}

// handlersLoaded plans the drop-in and, when the running CRI-O is older than it, the restart. It returns false where the plan must wait.
func (p *planner) handlersLoaded() bool {
	d, crio := p.facts.Runtime.DropIn, p.facts.Runtime
	if !d.Right {
		p.do(WriteDropIn, "", "")
		d = DropIn{Exists: true, Right: true, Invocation: crio.Invocation, BootID: p.facts.Host.BootID}
	}
	if !crio.Active {
		return p.waitFor("CRI-O to run: see systemctl status crio")
	}
	if d.BootID != p.facts.Host.BootID || d.Invocation != crio.Invocation {
		return true
	}
	return p.restart()
}

// restart needs a grant that names this boot and has not been used in it, and a node on which nobody else works.
func (p *planner) restart() bool {
	f := p.facts
	granted := f.Intent.Told && f.Intent.Wanted.Grants.RestartCRIO == f.Host.BootID
	used := f.Runtime.Restarted.Intent == f.Intent.Wanted.ID && f.Runtime.Restarted.Invocation != f.Runtime.Invocation
	switch {
	case used:
		p.plan.Problem = "CRI-O was restarted and has still not taken our handlers: see journalctl -u crio for why it ignores them, and restart it when that is mended"
		return false
	case !granted:
		p.awaitsGrant = true
		return p.waitFor("the controller's grant to restart CRI-O in this boot")
	case f.Cluster.Busy != "":
		return p.waitFor(f.Cluster.Busy)
	default:
		p.do(RestartCRIO, "", "")
		return true
	}
}

func (p *planner) prove(payload, id string) {
	v, _ := p.facts.slot(id)
	proved := v.Proved || id != "" && id == p.facts.Slots.Current
	if p.facts.Slots.Proof != id || id == "" {
		p.do(PointProof, payload, id)
	}
	if !proved {
		p.do(Prove, payload, id)
	}
}

func (p *planner) waitFor(what string) bool {
	p.plan.Wait = what
	return false
}
