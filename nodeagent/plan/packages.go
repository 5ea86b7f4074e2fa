// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// packages sees to the programs that a verified payload leaves to its host, before a configuration
// names them. A payload that was not asked for anew changes nothing of the system: it is served
// with what the system has, from wherever that is.
func (w *way) packages() bool {
	slot, _ := w.facts.Slots.find(w.id)
	f := w.facts
	if !slot.Mounted || slot.Verified == nil || slot.Verified.Needs == (record.Needs{}) && f.Packages.Layered == nil {
		return true
	}
	if w.held {
		return w.equipped(w.id)
	}
	mode := node.HostPackagesAuto
	if f.Intent.Wanted != nil {
		mode = f.Intent.Wanted.HostPackages
	}
	d := packages.For(packages.Order{
		Mode: mode, Needs: slot.Verified.Needs, Packages: slot.Verified.Packages, Sets: slot.Verified.Sets,
		Architecture: f.Host.Architecture, Busy: f.Cluster.Busy,
	}, f.Packages)
	w.planner.plan.Packages = &d
	switch d.Verdict {
	case packages.Ready, packages.Unlayer:
	case packages.Layer:
		w.do(LayerPackages)
	case packages.Wait:
		if d.Reboot {
			next, _ := f.Packages.System.Pending()
			w.planner.plan.Reboot = fmt.Sprintf("packages of deployment %.12s", next.Checksum)
		}
		return w.waitFor(d.Sentence)
	case packages.Refuse:
		return w.problem(refusedStep(d.Mode), d.Reason, d.Problem())
	}
	return true
}

// equipped reports whether the host has what a slot's payload leaves to it, as far as that is known
// of the payload.
func (p *planner) equipped(id string) bool {
	slot, _ := p.facts.Slots.find(id)
	return !slot.Mounted || slot.Verified == nil || len(packages.Missing(slot.Verified.Needs, p.facts.Packages)) == 0
}

// refusedStep is the step that a refusal keeps from being planned.
func refusedStep(mode node.HostPackages) Kind {
	if mode == node.HostPackagesLayered {
		return LayerPackages
	}
	return Configure
}

// dropPackages takes packages of an older payload or of another mode away, once new pods do not
// rely on them any more.
func (w *way) dropPackages() {
	if d := w.planner.plan.Packages; d != nil && d.Mode != node.HostPackagesLayered && w.facts.Slots.Current == w.id && len(w.steps) == 0 {
		w.unlayer()
	}
}

// unlayer takes packages of ours away. What runs keeps them until the next boot.
func (p *planner) unlayer() {
	switch d := packages.Removal(p.facts.Cluster.Busy, p.facts.Packages); d.Verdict {
	case packages.Unlayer:
		p.line(Step{Kind: UnlayerPackages})
	case packages.Wait:
		p.waitFor(d.Sentence)
	case packages.Ready, packages.Layer, packages.Refuse:
	}
}

// forgetPackages names the reboot that ends what was uninstalled, and after it deletes the record.
func (p *planner) forgetPackages() {
	f := p.facts
	if f.Packages.Leaving() && !p.serves() {
		p.plan.Reboot = "packages that are uninstalled already"
	}
	decided := p.plan.Packages != nil && p.plan.Packages.Mode != node.HostPackagesLayered
	left := !f.installed() && (f.Intent.Wanted == nil || f.Intent.Wanted.State == node.StateAbsent)
	if f.Packages.Forgettable() && (decided || left) {
		p.tidy(Step{Kind: UnlayerPackages})
	}
}
