// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
)

// Make returns the plan for these facts. An absent intent means keep what is there: only an explicit Absent removes.
func Make(f Facts) Plan {
	switch {
	case f.Wanted == nil:
		return Plan{Phase: node.PhaseIdle}
	case f.IntentProblem != "" && f.Wanted.State == node.StateAbsent:
		return Plan{Phase: node.PhaseRemoving}
	case f.Wanted.State == node.StateAbsent:
		return kept(f, remove(f))
	default:
		return kept(f, install(f))
	}
}

// kept puts the writing of the intent first: whatever follows must be known to the next boot.
func kept(f Facts, p Plan) Plan {
	if !f.Kept {
		p.Steps = slices.Insert(p.Steps, 0, Step{Kind: Keep})
	}
	return p
}

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
	case id != "" && p.facts.Current == id && p.plan.Wait == "":
		p.plan.Phase = node.PhaseInstalled
	}
}

type planner struct {
	facts       Facts
	plan        Plan
	awaitsGrant bool
}

func (p *planner) do(kind Kind, payload, version string) {
	p.plan.Steps = append(p.plan.Steps, Step{Kind: kind, Payload: payload, Version: version})
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
	if p.facts.Current != id || id == "" {
		p.do(PointCurrent, payload, id)
	}
	if p.facts.Served == nil || *p.facts.Served != (Served{Payload: payload, Version: id}) {
		p.do(Record, payload, id)
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
	case !granted || used:
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

// retire takes away what neither serves, nor is wanted, nor is held. What is held is looked at again later.
func (p *planner) retire() {
	needed := map[string]bool{p.facts.Current: true, p.facts.Proof: true, p.wantedID(): true}
	images := map[string]bool{}
	for _, payload := range p.payloadsToKeep() {
		if image, here := p.facts.image(payload); here {
			images[image.ID] = true
		}
	}
	for _, v := range p.facts.Versions {
		switch {
		case needed[v.ID]:
			images[v.Image] = true
		case len(v.Holders) > 0:
			images[v.Image] = true
		default:
			p.tidy(Step{Kind: Unmount, Version: v.ID})
		}
	}
	for _, image := range p.facts.Images {
		if !images[image.ID] {
			p.tidy(Step{Kind: DeleteImage, Object: image.ID})
		}
	}
}

func (p *planner) tidy(s Step) { p.plan.Tidy = append(p.plan.Tidy, s) }

func (p *planner) payloadsToKeep() []string {
	keep := []string{p.facts.Wanted.Payload, p.facts.Wanted.Prefetch}
	if p.facts.Served != nil {
		keep = append(keep, p.facts.Served.Payload)
	}
	return keep
}

func (p *planner) wantedID() string {
	image, here := p.facts.image(p.facts.Wanted.Payload)
	if !here {
		return ""
	}
	return p.id(image)
}

func (p *planner) prefetch() {
	payload := p.facts.Wanted.Prefetch
	if _, here := p.facts.image(payload); payload != "" && !here {
		p.tidy(Step{Kind: Pull, Payload: payload})
	}
}

func (p *planner) id(image Image) string {
	return VersionID(image.Platform, p.facts.Kernel, p.facts.Settings)
}

// Held returns the versions that are only there because somebody uses them.
func Held(f Facts) []Version {
	var held []Version
	for _, v := range f.Versions {
		if v.ID != f.Current && v.ID != f.Proof && len(v.Holders) > 0 {
			held = append(held, v)
		}
	}
	return held
}

func quoted(names []string) string { return strings.Join(names, ", ") }
