// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
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
func (w *world) changed(h *host, before *corev1.Node) {
	w.t.Helper()
	before, after := before.DeepCopy(), h.object().DeepCopy()
	before.ResourceVersion, after.ResourceVersion = "", ""
	if equality.Semantic.DeepEqual(before, after) {
		w.fails("%s is written, and stays as it is", h.name)
	}
}

// stopsAtFailures holds for a payload with which several nodes have failed, and that none has
// proved: no further node starts with it.
func (w *world) stopsAtFailures(p selection.Pool, payload string, begun int, proven bool) {
	failed := 0
	for _, n := range p.Members {
		if n.Wanted != nil && n.Wanted.Payload == payload && n.Carries() && w.failed(n.Node) {
			failed++
		}
	}
	if begun > 0 && !proven && failed >= mostUnproven {
		w.fails("%s starts %s on %d nodes after %d have failed with it", p.Config.Name, payload, begun, failed)
	}
}

// mostUnproven is how many nodes may fail with a payload that none has proved.
const mostUnproven = 3

// failed is true for a node whose error has lasted.
func (w *world) failed(n facts.Node) bool {
	return n.Ready && n.Answered() && n.Report.Error != nil && n.Report.HostCheck == "" && !n.Since.IsZero() && w.now.Sub(n.Since) >= w.settings().FailureGrace
}

// sparesMachineConfig holds for a node at which the machine-config operator is at work.
func (w *world) sparesMachineConfig(c rollout.Change) {
	if c.Entered && node.Busy(w.nodes.now[c.Node.Name].Annotations) != "" {
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
			n.Annotations[node.MachineState] = w.one("Working", "Degraded")
		})
	}
}

// relists lets the leader's watches end with 410: it lists what there is, and never sees what was
// in between.
func (w *world) relists(*host) {
	l := w.leader
	l.nodes.relist()
	l.configs.relist()
	l.classes.relist()
	l.ledgers.relist()
}

// relist reports every object as changed, as an informer does.
func (i *informer[T]) relist() {
	names := slices.Concat(sorted(i.has), sorted(i.of.now))
	i.at, i.has = len(i.of.log), map[string]T{}
	maps.Copy(i.has, i.of.now)
	for _, name := range names {
		i.changed[name] = true
	}
}
