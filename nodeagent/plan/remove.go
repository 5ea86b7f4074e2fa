// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
)

// remove deletes everything once no kata pod can come any more, none is bound and nothing of one
// runs. It needs no restart of CRI-O. Until then it serves as before.
func (p *planner) remove() {
	switch {
	case !p.facts.installed():
		p.removed()
		return
	case p.blocked():
		p.hold(node.PhaseBlocked)
		p.nameMissingHandlers()
	default:
		p.plan.Phase = node.PhaseRemoving
		p.takeAway()
	}
	p.endProofs()
	// A full disk may keep the intent from being written; the removal is what frees space.
	p.keepIntent()
}

// removed answers the intent, and forgets it when the controller has read the answer and cleared
// the Node. The answer waits until the disk has no other intent: the Node may be cleared at once,
// and that one would be in force again.
func (p *planner) removed() {
	switch {
	case p.facts.Intent.Cleared:
		p.plan.Phase = node.PhaseIdle
		p.line(Step{Kind: Forget})
	case p.facts.Intent.Superseded:
		p.plan.Phase = node.PhaseRemoving
		p.keepIntent()
	default:
		p.plan.Phase = node.PhaseAbsent
		p.keepIntent()
	}
}

// takeAway begins with the record of what was served: a crash or a reboot after that goes on
// removing. Finished sandboxes are removed if CRI-O can; nothing waits for it.
func (p *planner) takeAway() {
	f := p.facts
	p.unlayer()
	if !f.resident() {
		return
	}
	var line []Step
	if f.Store.Served != nil {
		line = append(line, Step{Kind: Withdraw})
	}
	if f.Slots.Current != Pending {
		line = append(line, Step{Kind: PointCurrent, Slot: Pending})
	}
	if f.Slots.Proof != Pending {
		line = append(line, Step{Kind: PointProof, Slot: Pending})
	}
	if f.Runtime.DropIn.Exists && !f.Host.Armed {
		line = append(line, Step{Kind: RemoveDropIn})
	}
	for _, slot := range f.Slots.All {
		line = append(line, Step{Kind: Unmount, Slot: slot.ID})
	}
	p.line(append(line, Step{Kind: Clear})...)
	for _, s := range f.Runtime.Sandboxes {
		if !s.Ready && s.Unknown == "" && !s.Proof() {
			p.tidy(Step{Kind: RemoveSandbox, Object: s.ID})
		}
	}
}

// blocked says what still needs Kata on this node, or may. Not knowing counts as a need: a pod
// whose handler was deleted cannot even be deleted itself. The label comes before sandboxes: while
// the Node carries it, every moment may bring a new pod.
func (p *planner) blocked() bool {
	f := p.facts
	switch {
	case !f.Cluster.PodsKnown:
		return !p.waitFor("the API server, to learn which kata pods are bound to this node")
	case len(f.Cluster.BoundPods) > 0:
		return !p.waitFor("kata pods to end: " + some(f.Cluster.BoundPods) + p.stuckPod())
	case f.Cluster.Labelled:
		return !p.waitFor("the controller to take the ready label off this node, so that no kata pod can come")
	case f.Runtime.DropIn.Exists && !f.Runtime.Answers:
		return !p.waitFor("CRI-O to answer, to learn which kata sandboxes run" + because(f.Runtime.Silence))
	}
	return p.used() || p.needed()
}

// nameMissingHandlers tells why pods that a removal waits for may not start. CRI-O gets the drop-in
// back at its next start. It is not restarted for pods of a node that is being left: they can be
// deleted, and a restart is for the controller to weigh among nodes that are to serve.
func (p *planner) nameMissingHandlers() {
	if p.plan.Wait != "" && p.facts.Runtime.lacksHandlers() {
		p.plan.Wait += ". Those that do not run cannot start before the next start of CRI-O, which does not know the handlers: delete them or restart CRI-O"
	}
}

// stuckPod tells why a pod that is waited for may not end: the kubelet tries again and again to
// stop its sandbox.
func (p *planner) stuckPod() string {
	for _, s := range p.facts.Runtime.Sandboxes {
		if p.facts.stuck(s) && slices.Contains(p.facts.Cluster.BoundPods, s.Name) {
			return fmt.Sprintf(". The shim of %s%s", s.Name, noShim)
		}
	}
	return ""
}

// used names a sandbox or a process that uses a payload.
func (p *planner) used() bool {
	if stranded := p.facts.stranded(); stranded != "" {
		return !p.waitFor(stranded)
	}
	for _, s := range p.facts.Runtime.Sandboxes {
		if s.Ready && s.Unknown != "" {
			return !p.waitFor(fmt.Sprintf("sandbox %s (%s) to end: CRI-O does not tell its handler (%s)", s.Name, s.ID, s.Unknown))
		}
		if s.Ready && slices.Contains(node.PodHandlers(), s.Handler) {
			return !p.waitFor(fmt.Sprintf("kata sandbox %s (%s) to end", s.Name, s.ID))
		}
	}
	for _, slot := range p.facts.Slots.All {
		if len(slot.Holders) > 0 {
			return !p.waitFor(fmt.Sprintf("%s, which still uses payload %s in slot %s", slot.Holders[0], slot.Release, slot.ID))
		}
	}
	return false
}

// needed names a configuration with which CRI-O would refuse to start once our drop-in is deleted.
func (p *planner) needed() bool {
	for _, c := range p.facts.Runtime.Conflicts {
		if c.Default && p.facts.Runtime.DropIn.Exists && !p.facts.Host.Armed {
			return !p.problem(RemoveDropIn, node.ReasonHandlerConflict,
				fmt.Sprintf("%s sets %s to a handler of this agent: CRI-O would refuse to start without it; change that file first", c.File, c.Key))
		}
	}
	return false
}

// maxNamed bounds how many pods a sentence names.
const maxNamed = 5

func some(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
