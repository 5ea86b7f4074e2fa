// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
)

// Judge says what else has to be true in a simulation.
type Judge interface {
	// Check is called after each step.
	Check()
	// Lands judges a change of a Node that the API server is about to take.
	Lands(Machine, rollout.Change)
	// Complete judges a node that is what its KataConfig wants.
	Complete(selection.Pool, selection.Member)
	// Sound is true for a node of which everything can be expected.
	Sound(Machine) bool
}

// Step ends one step. What has to be true in every state of the cluster is checked after each.
func (l *Life) Step() {
	l.T.Helper()
	l.Steps++
	l.withinBudget()
	for _, m := range l.Machines {
		h := m.Base()
		if h.Labelled() && !h.ByHand && m.Serving() == "" {
			l.Fails("%s draws kata pods, and nothing serves them", h.Name)
		}
	}
	l.sim.Check()
}

// withinBudget counts the nodes that one KataConfig has made unavailable. The late writes of an
// instance that has lost its lease count, too. It looks closer only where there are two: every
// KataConfig may have one.
func (l *Life) withinBudget() {
	l.T.Helper()
	by := map[string]int{}
	for _, m := range l.Machines {
		if h := m.Base(); h.Disrupted != "" {
			by[h.Disrupted]++
		}
	}
	for _, p := range l.disrupted(by) {
		var names []string
		for _, n := range p.Members {
			if l.Named(n.Name).Base().Disrupted == p.Config.UID {
				names = append(names, n.Name)
			}
		}
		if len(names) > rollout.Budget(p) {
			l.Fails("%s has made %v unavailable, and may make %d", p.Config.Name, names, rollout.Budget(p))
		}
	}
}

func (l *Life) disrupted(by map[string]int) []selection.Pool {
	for _, count := range by {
		if count > 1 {
			return l.Division().Pools
		}
	}
	return nil
}

// lands judges a change of a Node at the moment at which the API server takes it.
func (l *Life) lands(c rollout.Change) {
	l.Tells("%s of %s", c.Event, c.Node.Name)
	m := l.Named(c.Node.Name)
	h := m.Base()
	// Nothing but a removal starts at a node at which the machine-config operator is at work.
	if Begins(c) && node.Busy(h.Object().Annotations) != "" {
		l.Fails("%s of %s, at which the machine-config operator works", c.Event, h.Name)
	}
	if c.Untaint && c.Label != rollout.LabelSet && !c.Node.Labelled() {
		l.Fails("%s loses its start-up taint before it is ready", h.Name)
	}
	switch c.Label {
	case rollout.LabelSet:
		if m.Serving() != c.Node.Intent.Payload {
			l.Fails("the label is set on %s, which serves %q: %+v", h.Name, m.Serving(), c.Node)
		}
	case rollout.LabelCleared:
		if !c.Node.Answered() || c.Node.Intent.State != node.StateAbsent || c.Node.Report.BoundPods.Count > 0 || h.Reported > 0 {
			l.Fails("the label is taken from %s before it has reported that no pod is bound: %+v", h.Name, c.Node)
		}
	case rollout.LabelKept:
	}
	l.sim.Lands(m, c)
	if c.Label != rollout.LabelKept {
		h.ByHand = false
	}
}

// landed holds because a write that changes nothing wakes every watcher for nothing.
func (l *Life) landed(before, after *corev1.Node) {
	l.T.Helper()
	before, after = before.DeepCopy(), after.DeepCopy()
	before.ResourceVersion, after.ResourceVersion = "", ""
	if equality.Semantic.DeepEqual(before, after) {
		l.Fails("%s is written, and stays as it is", after.Name)
	}
}

// withdrawn holds because kubelets need the class for every sandbox.
func (l *Life) withdrawn() {
	for _, m := range l.Machines {
		if m.Bound() > 0 && !m.Base().ByHand {
			l.Fails("the RuntimeClass is deleted while pods are bound to %s", m.Base().Name)
		}
	}
}

// Installed is true of every node but the broken one.
func (l *Life) Installed() {
	l.T.Helper()
	d := l.Division()
	for _, n := range d.Unowned {
		l.isClean(l.Named(n.Name))
	}
	for _, p := range d.Pools {
		for _, n := range p.Leaving {
			l.isClean(l.Named(n.Name))
		}
		done := 0
		for _, n := range p.Members {
			m := l.Named(n.Name)
			if m.Base().Broken != "" {
				continue
			}
			if n.Wanted == nil || !n.Labelled() || n.Starting || n.Cordoned || m.Serving() != n.Wanted.Payload || len(n.Unlabelled()) > 0 || !n.Settled() || n.Intent.Owner.UID != p.Config.UID {
				l.Fails("%s is not as %s wants it: %s", n.Name, p.Config.Name, m)
			}
			l.sim.Complete(p, n)
			done++
		}
		l.isSaid(p, done)
	}
}

func (l *Life) isSaid(p selection.Pool, done int) {
	l.T.Helper()
	s := l.Configs.Now[p.Config.Name].Status
	if int(s.CompletedNodesCount) < done || int(s.TotalNodesCount) < done {
		l.Fails("%s does not say that %d nodes are complete: %+v", p.Config.Name, done, s)
	}
	class := l.Classes.Now[node.RuntimeClass]
	if !p.Config.Deleting && class == nil {
		l.Fails("there is no RuntimeClass for %s", p.Config.Name)
	}
	if done > 0 && class.Scheduling.NodeSelector[node.ReadyLabel] == "" {
		l.Fails("no pod finds the nodes of %s: %v", p.Config.Name, class.Scheduling)
	}
}

func (l *Life) isClean(m Machine) {
	l.T.Helper()
	h := m.Base()
	_, intent := h.Object().Annotations[node.IntentAnnotation]
	further := l.facts(h.Object()).FurtherLabels()
	if l.sim.Sound(m) && (intent || h.Labelled() || len(further) > 0 || m.Left() != "") {
		l.Fails("%s is not clean: %s; %s", h.Name, m.Left(), m)
	}
}

// Removed is what is left once every KataConfig was deleted.
func (l *Life) Removed() {
	l.T.Helper()
	for _, m := range l.Machines {
		l.isClean(m)
	}
	if len(l.Configs.Now) > 0 || l.Classes.Now[node.RuntimeClass] != nil {
		l.Fails("KataConfigs %v or the RuntimeClass %v are left", Names(l.Configs.Now), l.Classes.Now)
	}
}
