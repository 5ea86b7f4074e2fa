// SPDX-License-Identifier: Apache-2.0

package plan

// retire takes away what neither serves, nor is wanted, nor is held. What is held is looked at again later.
func (p *planner) retire() {
	needed := map[string]bool{p.facts.Slots.Current: true, p.facts.Slots.Proof: true, p.wantedID(): true}
	images := map[string]bool{}
	for _, payload := range p.payloadsToKeep() {
		if image, here := p.facts.image(payload); here {
			images[image.ID] = true
		}
	}
	for _, v := range p.facts.Slots.All {
		switch {
		case needed[v.ID]:
			images[v.Image] = true
		case len(v.Holders) > 0:
			images[v.Image] = true
		default:
			p.tidy(Step{Kind: Unmount, Slot: v.ID})
		}
	}
	for _, image := range p.facts.Store.Images {
		if !images[image.ID] {
			p.tidy(Step{Kind: DeleteImage, Object: image.ID})
		}
	}
}

func (p *planner) tidy(s Step) { p.plan.Tidy = append(p.plan.Tidy, s) }

func (p *planner) payloadsToKeep() []string {
	keep := []string{p.facts.Intent.Wanted.Payload, p.facts.Intent.Wanted.Prefetch}
	if p.facts.Store.Served != nil {
		keep = append(keep, p.facts.Store.Served.Payload)
	}
	return keep
}

func (p *planner) wantedID() string {
	image, here := p.facts.image(p.facts.Intent.Wanted.Payload)
	if !here {
		return ""
	}
	return p.id(image)
}

func (p *planner) prefetch() {
	payload := p.facts.Intent.Wanted.Prefetch
	if _, here := p.facts.image(payload); payload != "" && !here {
		p.tidy(Step{Kind: Pull, Payload: payload})
	}
}

// Held returns the slots that are only there because somebody uses them.
func Held(f Facts) []Slot {
	var held []Slot
	for _, v := range f.Slots.All {
		if v.ID != f.Slots.Current && v.ID != f.Slots.Proof && len(v.Holders) > 0 {
			held = append(held, v)
		}
	}
	return held
}
