// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kata-node/kata-node/nodeagent/record"
)

// What was found out about a slot, that its files are those of the payload and that a sandbox of it
// runs here, is kept when the slot is unmounted, so that naming its payload again takes neither a
// verification nor a proof before new pods get it. It holds while all that it depends on is as it
// was: boot, kernel, settings and payload by the slot's id, the image in the store, the CRI-O that
// runs, and the agent's program. Payload files, configuration, and the host's programs and packages
// are compared by the step that mounts the slot.

// Holds reports whether findings hold: naming their payload again takes neither a verification nor
// a proof before new pods get it, as far as the step that mounts it finds the same files.
func (f Facts) Holds(found record.Findings) bool {
	i := slices.IndexFunc(f.Store.Images, func(i Image) bool { return i.ID == found.Origin.Image })
	return i >= 0 && found.Slot == SlotID(f.Store.Images[i].Platform, f.Host.Kernel, f.Host.Settings) &&
		found.Boot == f.Host.BootID && found.Build == f.Host.Build &&
		found.Proved.Invocation != "" && found.Proved.Invocation == f.Runtime.Invocation
}

func (s Slots) found(id string) (record.Findings, bool) {
	i := slices.IndexFunc(s.Findings, func(f record.Findings) bool { return f.Slot == id })
	if i < 0 {
		return record.Findings{}, false
	}
	return s.Findings[i], true
}

// resumes returns the findings with which a slot is mounted again.
func (p *planner) resumes(id string) (record.Findings, bool) {
	slot, _ := p.facts.Slots.find(id)
	found, kept := p.facts.Slots.found(id)
	return found, kept && slot.Verified == nil && p.facts.Holds(found)
}

// worthKeeping reports whether the findings about a mounted slot would hold if it were mounted
// again: it is wholly verified and proved with what runs now.
func (f Facts) worthKeeping(s Slot) bool {
	if !s.Ready() || s.Verified.Identity == "" || s.Verified.Resumed || s.Failed.Invocation == f.Runtime.Invocation {
		return false
	}
	return f.Holds(record.Findings{
		Slot: s.ID, Origin: s.Origin, Boot: f.Host.BootID, Build: f.Host.Build, Proved: record.Proved{Invocation: s.Proved},
	})
}

// verifyAgain compares contents of what was resumed, once new pods get it: a disk may return other
// bytes than were written, which no identity of a file shows.
func (p *planner) verifyAgain() {
	if slot, _ := p.facts.Slots.find(p.facts.Slots.Current); p.facts.Store.Problem == "" && slot.Ready() && slot.Verified.Resumed {
		p.tidy(Step{Kind: VerifyAgain, Payload: slot.Payload, Slot: slot.ID})
	}
}

// dropFindings deletes what does not hold any more, and what is known of a mount again.
func (p *planner) dropFindings(needed map[string]bool) {
	for _, found := range p.facts.Slots.Findings {
		slot, _ := p.facts.Slots.find(found.Slot)
		if !p.facts.Holds(found) || slot.Ready() && needed[slot.ID] {
			p.tidy(Step{Kind: DropFindings, Slot: found.Slot})
		}
	}
}
