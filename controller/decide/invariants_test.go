// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
)

// shownLines is how many lines of a world's history are shown.
const shownLines = 60

// tells keeps what happened.
func (w *world) tells(format string, args ...any) {
	if w.verbose {
		w.story = append(w.story, w.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
	}
}

// fails ends the test with what somebody needs who looks for the reason.
func (w *world) fails(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.story[max(0, len(w.story)-shownLines):] {
		w.t.Log(line)
	}
	for _, h := range w.hosts {
		if n := h.object(); n != nil {
			w.t.Logf("%s (%s): labels %v, unschedulable %v, %v, pods %d, serves %q", h.name, h.broken, n.Labels, n.Spec.Unschedulable, n.Annotations, h.pods, h.serving)
		}
	}
	for _, name := range decidetest.Names(w.Configs.Now) {
		kc := w.Configs.Now[name]
		w.t.Logf("%s: deleted %v, finalizers %v, %+v, %+v", name, kc.DeletionTimestamp, kc.Finalizers, kc.Spec, kc.Status)
	}
	require.FailNowf(w.t, "simulation", "seed %d, late %v: "+format, append([]any{w.seed, w.late}, args...)...)
}

// lands judges a change of a Node at the moment at which the API server takes it.
func (w *world) lands(h *host, c rollout.Change) {
	w.tells("%s of %s", c.Event, h.name)
	w.sparesMachineConfig(c)
	if len(c.Further) > 0 && c.Node.BootID == h.bootID() && !slices.Equal(h.handlers, c.Node.Intent.Handlers) {
		w.fails("%s gets labels of %v and has proved %v", h.name, c.Further, h.handlers)
	}
	if c.Label == rollout.LabelSet && (h.serving != c.Node.Intent.Payload || c.Node.BootID == h.bootID() && h.proved != h.serving) {
		w.fails("the label is set on %s, which has not proved its payload: %+v", h.name, c.Node)
	}
	if c.Untaint && c.Label != rollout.LabelSet && !c.Node.Labelled() {
		w.fails("%s loses its start-up taint before it is ready", h.name)
	}
	if c.Label != rollout.LabelKept {
		h.labelledByHand = false
	}
	if c.Label == rollout.LabelCleared {
		if !c.Node.Answered() || c.Node.Intent.State != node.StateAbsent || c.Node.Report.BoundPods.Count > 0 {
			w.fails("the label is taken from %s before it has said that no pod is bound: %+v", h.name, c.Node)
		}
	}
	if c.Label != rollout.LabelKept && c.Label != rollout.LabelSet && h.podsAtWrite > 0 {
		w.fails("the label is taken from %s while it reports pods", h.name)
	}
	switch {
	case c.Entered && h.broken == "":
		h.permit = permit{by: c.Intent.Owner.UID, boot: c.Node.Report.BootID}
		w.withinBudget()
	case c.Intent != nil && c.Intent.Owner.UID != h.permit.by, c.Intent != nil && c.Intent.State == node.StateAbsent, c.ClearIntent:
		h.permit = permit{}
	}
}

// withinBudget counts the nodes that one KataConfig has made unavailable. The late writes of an
// instance that has lost its lease count, too.
func (w *world) withinBudget() {
	for _, p := range w.division().Pools {
		var names []string
		for _, n := range p.Members {
			if h := w.named(n.Name); h.permit.by == p.Config.UID && h.permit.boot == h.bootID() {
				names = append(names, n.Name)
			}
		}
		if len(names) > rollout.Budget(p) {
			w.fails("%s lets %v restart CRI-O or reboot, and may let %d", p.Config.Name, names, rollout.Budget(p))
		}
	}
}

// division is by what the API server has, and by the leader's catalogue.
func (w *world) division() selection.Division {
	seen := decide.Seen{Configs: slices.Collect(maps.Values(w.Configs.Now))}
	for _, name := range decidetest.Names(w.Nodes.Now) {
		seen.Nodes = append(seen.Nodes, facts.OfNode(w.Nodes.Now[name]))
	}
	w.leader.reads(&seen)
	return decidetest.Divide(seen, w.settings())
}

// classGoes holds because kubelets need the class for every sandbox.
func (w *world) classGoes(l *leader) {
	for _, h := range w.hosts {
		if h.pods > 0 && !h.labelledByHand && !l.stale {
			w.fails("the RuntimeClass is deleted while pods are bound to %s", h.name)
		}
	}
}

// bound holds because nothing is taken away before the label.
func (w *world) bound(h *host) {
	if h.serving == "" && !h.labelledByHand {
		w.fails("a pod is bound to %s, where nothing serves it", h.name)
	}
}

// same holds because a Cluster leaves out nothing that a decision depends on.
func (w *world) same(d, whole decide.Decision) {
	w.t.Helper()
	if !assert.Equal(w.t, whole, d) {
		w.fails("what is decided by changes differs from what is decided by all Nodes")
	}
}
