// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/nodeagent/host"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// step ends one step of a life: a pass of an agent or of the controller, a write, or an accident.
// What has to be true at every moment is checked after each. What every decision has to be like is
// in decidetest.Fault.
func (w *life) step() {
	w.t.Helper()
	w.steps++
	w.withinBudget()
	for _, r := range w.nodes {
		n := r.object()
		if n != nil && n.Labels[node.ReadyLabel] != "" && !r.byHand && r.serving() == "" {
			w.fails("%s draws kata pods, and nothing serves them", r.name)
		}
		if r.serving() == "" && slices.ContainsFunc(r.pods, func(p *pod) bool { return !p.stray }) {
			w.fails("%v are bound to %s, where nothing serves them", r.podNames(), r.name)
		}
		for _, p := range r.pods {
			if p.slot != "" && !slices.Contains(r.host.Mounts, host.PayloadDir(p.slot)) {
				w.fails("%s runs from slot %s of %s, which is not mounted any more: %v", p.name, p.slot, r.name, r.host.Mounts)
			}
		}
	}
}

// withinBudget counts the nodes that one KataConfig has made unavailable. It looks closer only
// where there are two: every KataConfig may have one.
func (w *life) withinBudget() {
	w.t.Helper()
	by := map[string]int{}
	for _, r := range w.nodes {
		if r.disrupted != "" {
			by[r.disrupted]++
		}
	}
	for _, count := range by {
		if count < 2 {
			continue
		}
		for _, p := range w.division().Pools {
			var names []string
			for _, m := range p.Members {
				if w.named(m.Name).disrupted == p.Config.UID {
					names = append(names, m.Name)
				}
			}
			if len(names) > rollout.Budget(p) {
				w.fails("%s has made %v unavailable, and may make %d", p.Config.Name, names, rollout.Budget(p))
			}
		}
	}
}

// lands judges a change of a Node at the moment at which the API server takes it.
func (w *life) lands(c rollout.Change) {
	w.tells("%s of %s", c.Event, c.Node.Name)
	r := w.named(c.Node.Name)
	if c.Entered && node.Busy(r.object().Annotations) != "" {
		w.fails("%s of %s, at which the machine-config operator works", c.Event, r.name)
	}
	if c.Untaint && c.Label != rollout.LabelSet && !c.Node.Labelled() {
		w.fails("%s loses its start-up taint before it is ready", r.name)
	}
	switch c.Label {
	case rollout.LabelSet:
		if r.serving() != c.Node.Intent.Payload || c.Node.BootID == r.self.BootID && r.current() == host.Target(host.Pending) {
			w.fails("the label is set on %s, which serves %q in slot %s: %+v", r.name, r.serving(), r.current(), c.Node)
		}
		r.byHand = false
	case rollout.LabelCleared:
		if !c.Node.Answered() || c.Node.Intent.State != node.StateAbsent || c.Node.Report.BoundPods.Count > 0 || r.reported > 0 {
			w.fails("the label is taken from %s before it has reported that no pod is bound: %+v", r.name, c.Node)
		}
		r.byHand = false
	case rollout.LabelKept:
	}
	if c.Intent != nil && c.Intent.State == node.StateAbsent || c.ClearIntent {
		r.disrupted = ""
	}
}

func (w *life) landed(before, after *corev1.Node) {
	w.t.Helper()
	before, after = before.DeepCopy(), after.DeepCopy()
	before.ResourceVersion, after.ResourceVersion = "", ""
	if equality.Semantic.DeepEqual(before, after) {
		w.fails("%s is written, and stays as it is", after.Name)
	}
}

func (w *life) withdrawn(stale bool) {
	for _, r := range w.nodes {
		if len(r.pods) > 0 && !r.byHand && !stale {
			w.fails("the RuntimeClass is deleted while pods are bound to %s", r.name)
		}
	}
}
