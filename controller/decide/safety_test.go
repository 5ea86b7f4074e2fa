// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/rollout"
)

// step ends one step of a world: a look of an agent, a pass, a write, or an accident. What has to
// be true in every state of the cluster is checked after each.
func (w *world) step() {
	w.t.Helper()
	w.steps++
	w.sparesUnavailability()
	for _, h := range w.hosts {
		if h.labelled() && !h.labelledByHand && h.serving == "" {
			w.fails("%s draws kata pods, and nothing serves them", h.name)
		}
	}
}

// sparesUnavailability looks closer only where two nodes of one KataConfig are unavailable: every
// KataConfig may have one.
func (w *world) sparesUnavailability() {
	w.t.Helper()
	by := map[string]int{}
	for _, h := range w.hosts {
		if h.permit.by != "" && h.permit.boot == h.bootID() {
			if by[h.permit.by]++; by[h.permit.by] == 2 {
				w.withinBudget()
				return
			}
		}
	}
}

// changed holds because a write that changes nothing wakes every watcher for nothing.
func (w *world) changed(before, after *corev1.Node) {
	w.t.Helper()
	before, after = before.DeepCopy(), after.DeepCopy()
	before.ResourceVersion, after.ResourceVersion = "", ""
	if equality.Semantic.DeepEqual(before, after) {
		w.fails("%s is written, and stays as it is", after.Name)
	}
}

// sparesMachineConfig holds for a node at which the machine-config operator is at work: nothing
// begins there but a removal.
func (w *world) sparesMachineConfig(c rollout.Change) {
	if decidetest.Begins(c) && node.Busy(w.Nodes.Now[c.Node.Name].Annotations) != "" {
		w.fails("%s of %s, at which the machine-config operator works", c.Event, c.Node.Name)
	}
}

// configures lets the machine-config operator begin or end its work at a node.
func (w *world) configures(h *host) {
	if h.object() != nil {
		h.edit(func(n *corev1.Node) {
			if node.Busy(n.Annotations) != "" {
				n.Annotations[node.MachineState] = "Done"
				return
			}
			n.Annotations[node.MachineState] = w.rnd.One("Working", "Degraded")
		})
	}
}

// relists lets the leader's watches end.
func (w *world) relists(*host) { w.leader.Relist() }
