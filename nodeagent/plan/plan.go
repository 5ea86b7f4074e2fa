// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

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

type planner struct {
	facts       Facts
	plan        Plan
	awaitsGrant bool
}

func (p *planner) do(kind Kind, payload, version string) {
	p.plan.Steps = append(p.plan.Steps, Step{Kind: kind, Payload: payload, Version: version})
}

func (p *planner) id(image Image) string {
	return VersionID(image.Platform, p.facts.Kernel, p.facts.Settings)
}
