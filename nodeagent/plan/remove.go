// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"github.com/kata-node/kata-node/api/node"
)

// remove takes everything away once no kata pod is bound and none of its sandboxes runs. It needs no restart of CRI-O.
func remove(f Facts) Plan {
	if !installed(f) {
		return removed(f)
	}
	if wait := blocked(f); wait != "" {
		return Plan{Phase: node.PhaseBlocked, Wait: wait}
	}
	p := &planner{facts: f, plan: Plan{Phase: node.PhaseRemoving}}
	p.pointAway()
	p.removeSandboxes()
	if f.Runtime.DropIn.Exists {
		p.do(RemoveDropIn, "", "")
	}
	for _, v := range f.Slots.All {
		if len(v.Holders) > 0 {
			p.waitFor(fmt.Sprintf("%s, which still uses payload slot %s", v.Holders[0], v.ID))
			return p.plan
		}
		p.do(Unmount, "", v.ID)
	}
	p.do(Clear, "", "")
	return p.plan
}

// removed answers the intent, and forgets it when the controller has read the answer and cleared the Node.
func removed(f Facts) Plan {
	if f.Intent.Cleared {
		return Plan{Phase: node.PhaseIdle, Steps: []Step{{Kind: Forget}}}
	}
	return Plan{Phase: node.PhaseAbsent}
}

func installed(f Facts) bool {
	return f.Runtime.DropIn.Exists || f.Slots.Current != Pending || f.Slots.Proof != Pending || len(f.Slots.All) > 0 || f.Store.Exists || f.Store.Served != nil || len(f.Store.Leftovers) > 0
}

// blocked says who still needs Kata on this node. Not knowing counts as a need: a pod whose handler went cannot even be deleted.
func blocked(f Facts) string {
	switch {
	case !f.Cluster.PodsKnown:
		return "the API server, to learn which kata pods are bound to this node"
	case len(f.Cluster.BoundPods) > 0:
		return "kata pods to end: " + strings.Join(f.Cluster.BoundPods, ", ")
	case f.Runtime.DropIn.Exists && !f.Runtime.Answers:
		return "CRI-O to answer, to learn which kata sandboxes run"
	}
	for _, s := range f.Runtime.Sandboxes {
		if s.Ready && s.Handler != node.ProofHandler {
			return fmt.Sprintf("kata sandbox %s (%s) to end", s.Name, s.ID)
		}
	}
	return ""
}

func (p *planner) pointAway() {
	if p.facts.Slots.Current != Pending {
		p.do(PointCurrent, "", Pending)
	}
	if p.facts.Slots.Proof != Pending {
		p.do(PointProof, "", Pending)
	}
}

func (p *planner) removeSandboxes() {
	for _, s := range p.facts.Runtime.Sandboxes {
		p.plan.Steps = append(p.plan.Steps, Step{Kind: RemoveSandbox, Object: s.ID})
	}
}
