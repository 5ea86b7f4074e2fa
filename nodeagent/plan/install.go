// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/kata-node/kata-node/api/node"

// install restores at boot what current served before, then works towards the intent's payload; the two are mostly the same.
// An intent that cannot be followed, or a host that cannot run Kata, leaves it at the first half.
func install(f Facts) Plan {
	p := &planner{facts: f, plan: Plan{Phase: node.PhaseInstalling}}
	p.restore()
	if f.IntentProblem == "" && f.HostProblem == "" {
		p.serve(f.Wanted.Payload)
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
	case id != "" && p.facts.Current == id && p.plan.Wait == "" && p.plan.Problem == "":
		p.plan.Phase = node.PhaseInstalled
	}
}

// restore serves again, from the local store alone and without another proof, what was proved before this boot.
func (p *planner) restore() {
	served := p.facts.Served
	if served == nil || p.facts.Current != Pending {
		return
	}
	image, here := p.facts.image(served.Payload)
	if !here || p.id(image) != served.Version {
		return
	}
	p.prepare(served.Payload, served.Version)
	p.do(PointCurrent, served.Payload, served.Version)
	p.facts.Current = served.Version
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

// promote makes the proved version current. It is recorded first: whatever is recorded may be restored at boot, and it is proved by now.
func (p *planner) promote(payload, id string) {
	if p.facts.Served == nil || *p.facts.Served != (Served{Payload: payload, Version: id}) {
		p.do(Record, payload, id)
	}
	if p.facts.Current != id || id == "" {
		p.do(PointCurrent, payload, id)
	}
}

func (p *planner) prepare(payload, id string) {
	v, _ := p.facts.version(id)
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
		if s.Kind == kind && s.Version == id {
			return true
		}
	}
	return false
}

// handlersLoaded plans the drop-in and, when the running CRI-O is older than it, the restart. It returns false where the plan must wait.
func (p *planner) handlersLoaded() bool {
	d, crio := p.facts.DropIn, p.facts.CRIO
	if !d.Right {
		p.do(WriteDropIn, "", "")
		d = DropIn{Exists: true, Right: true, Invocation: crio.Invocation, BootID: p.facts.BootID}
	}
	if !crio.Active {
		return p.waitFor("CRI-O to run: see systemctl status crio")
	}
	if d.BootID != p.facts.BootID || d.Invocation != crio.Invocation {
		return true
	}
	return p.restart()
}

// restart needs a grant that names this boot and has not been used in it, and a node on which nobody else works.
func (p *planner) restart() bool {
	f := p.facts
	granted := f.Told && f.Wanted.Grants.RestartCRIO == f.BootID
	used := f.CRIO.Restarted.Intent == f.Wanted.ID && f.CRIO.Restarted.Invocation != f.CRIO.Invocation
	switch {
	case used:
		p.plan.Problem = "CRI-O was restarted and has still not taken our handlers: see journalctl -u crio for why it ignores them, and restart it when that is mended"
		return false
	case !granted:
		p.awaitsGrant = true
		return p.waitFor("the controller's grant to restart CRI-O in this boot")
	case f.Busy != "":
		return p.waitFor(f.Busy)
	default:
		p.do(RestartCRIO, "", "")
		return true
	}
}

func (p *planner) prove(payload, id string) {
	v, _ := p.facts.version(id)
	proved := v.Proved || id != "" && id == p.facts.Current
	if p.facts.Proof != id || id == "" {
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
