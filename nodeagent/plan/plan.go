// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kata-node/kata-node/api/node"
)

// For returns the plan for these facts. An absent intent means keep what is there: only an explicit Absent removes.
func For(f Facts) Plan {
	switch {
	case f.Intent.Wanted == nil:
		return Plan{Phase: node.PhaseIdle}
	case f.Intent.Problem != "" && f.Intent.Wanted.State == node.StateAbsent:
		return Plan{Phase: node.PhaseRemoving}
	case f.Intent.Wanted.State == node.StateAbsent:
		return kept(f, remove(f))
	default:
		return kept(f, install(f))
	}
}

// kept puts the writing of the intent first: whatever follows must be known to the next boot.
func kept(f Facts, p Plan) Plan {
	if !f.Intent.Kept {
		p.Steps = slices.Insert(p.Steps, 0, Step{Kind: Keep})
	}
	return p
}

type planner struct {
	facts       Facts
	plan        Plan
	awaitsGrant bool
}

func (p *planner) do(kind Kind, payload, slot string) {
	p.plan.Steps = append(p.plan.Steps, Step{Kind: kind, Payload: payload, Slot: slot})
}

func (p *planner) id(image Image) string {
	return SlotID(image.Platform, p.facts.Host.Kernel, p.facts.Host.Settings)
}
