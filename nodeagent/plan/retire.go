// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"

	"github.com/kata-node/kata-node/api/node"
)

// retire unmounts and deletes what neither serves, nor is wanted, nor is held. What is held is
// looked at again later. With a store or settings that cannot be read it is not known what is
// wanted.
func (p *planner) retire(wanted string) {
	p.endProofs()
	if p.facts.Store.Problem != "" || p.facts.Host.SettingsProblem != "" {
		return
	}
	needed := map[string]bool{p.linked.Current: true, p.linked.Proof: true, p.facts.Slots.Current: true, wanted: true}
	if served := p.facts.Store.Served; served != nil && !p.equipped(served.Slot) {
		needed[served.Slot] = true
	}
	images := map[string]bool{}
	for _, payload := range p.payloadsToKeep() {
		if image, here := p.facts.Store.image(payload); here {
			images[image.ID] = true
		}
	}
	p.verifyAgain()
	p.dropFindings(needed)
	stays := maps.Clone(images)
	for _, slot := range p.facts.Slots.All {
		// An image outlives its slot: were the unmount to fail, layers would be deleted below a
		// mount.
		images[slot.Image] = true
		if !needed[slot.ID] && len(slot.Holders) == 0 {
			p.unmount(slot, stays[slot.Image])
		}
	}
	p.retireGuests(needed)
	for _, image := range p.facts.Store.Images {
		if !images[image.ID] {
			deletion := Step{Kind: DeleteImage, Object: image.ID}
			p.tidy(deletion)
			p.plan.Room = append(p.plan.Room, deletion)
		}
	}
}

// unmount keeps what was found out about a slot whose image stays in the store.
func (p *planner) unmount(slot Slot, stays bool) {
	if _, kept := p.facts.Slots.found(slot.ID); !kept && stays && p.facts.worthKeeping(slot) {
		p.tidy(Step{Kind: KeepFindings, Slot: slot.ID})
	}
	unmount := Step{Kind: Unmount, Slot: slot.ID}
	p.tidy(unmount)
	if !stays && p.facts.Store.has(slot.Image) {
		p.plan.Room = append(p.plan.Room, unmount)
	}
}

// payloadsToKeep has the former payload as long as no third one is on its way: a disk needs room
// for two.
func (p *planner) payloadsToKeep() []string {
	wanted := p.facts.Intent.Wanted
	keep := []string{wanted.Payload, wanted.Prefetch}
	if served := p.facts.Store.Served; served != nil {
		keep = append(keep, served.Payload)
		if wanted.Prefetch == "" && node.Digest(served.Payload) == node.Digest(wanted.Payload) {
			keep = append(keep, served.Before)
		}
	}
	return keep
}

// endProofs removes what an interrupted proof has left, or one whose sandbox CRI-O did not remove.
// A proof does not wait for it. CRI-O is not asked for what it cannot stop, over which it may
// panic.
func (p *planner) endProofs() {
	for _, s := range p.facts.Runtime.proofs() {
		if !p.facts.stuck(s) {
			p.tidy(Step{Kind: RemoveSandbox, Object: s.ID})
		}
	}
	if !p.facts.Runtime.Answers {
		return
	}
	for _, name := range p.facts.Runtime.Asked {
		p.tidy(Step{Kind: Reclaim, Object: name})
	}
}
