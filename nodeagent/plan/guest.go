// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// maxAhead is for how many other kernels guests are made. A system of ostree has up to two other
// deployments, one to go back to and one to come; a guest takes some tens of megabytes.
const maxAhead = 2

// ahead returns the kernels that the next boot may bring.
func (h Host) ahead() []string { return h.Kernels[:min(maxAhead, len(h.Kernels))] }

// buildAhead makes guests for other kernels on disk, so that the first boot of one serves as soon
// as any other. It is quick and only writes files of the agent's own, so that it also happens while
// others work on the node: they may be about to reboot it.
func (p *planner) buildAhead(w *way) {
	slot, _ := p.facts.Slots.find(w.id)
	if p.plan.Phase != node.PhaseInstalled || !slot.Verified.Guest {
		return
	}
	for _, kernel := range p.facts.Host.ahead() {
		if !slices.Contains(p.facts.Store.Guests, Guest{Slot: p.facts.idOn(kernel, w.payload), Whole: true}) {
			p.line(Step{Kind: BuildAhead, Payload: w.payload, Slot: w.id, Object: kernel})
		}
	}
}

// retireGuests deletes guests of slots that are neither here nor needed, and of kernels that are no
// longer on disk.
func (p *planner) retireGuests(needed map[string]bool) {
	keep := map[string]bool{}
	for _, slot := range p.facts.Slots.All {
		keep[slot.ID] = true
	}
	for _, kernel := range p.facts.Host.ahead() {
		keep[p.facts.idOn(kernel, p.facts.Intent.Wanted.Payload)] = true
	}
	if served := p.facts.Store.Served; served != nil {
		keep[served.Slot] = true
	}
	for _, found := range p.facts.Slots.Findings {
		keep[found.Slot] = keep[found.Slot] || p.facts.Holds(found)
	}
	for _, guest := range p.facts.Store.Guests {
		if !keep[guest.Slot] && !needed[guest.Slot] {
			p.tidy(Step{Kind: DeleteGuest, Object: guest.Slot})
		}
	}
}
