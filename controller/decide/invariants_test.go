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
	for _, name := range sorted(w.configs.now) {
		kc := w.configs.now[name]
		w.t.Logf("%s: deleted %v, finalizers %v, %+v, %+v", name, kc.DeletionTimestamp, kc.Finalizers, kc.Spec, kc.Status)
	}
	require.FailNowf(w.t, "simulation", "seed %d, late %v: "+format, append([]any{w.seed, w.late}, args...)...)
}

// lands judges a change of a Node at the moment at which the API server takes it.
func (w *world) lands(l *leader, h *host, c rollout.Change) {
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
	if c.Label == rollout.LabelCleared {
		h.labelledByHand = false
		if !c.Node.Answered() || c.Node.Intent.State != node.StateAbsent || c.Node.Report.BoundPods.Count > 0 {
			w.fails("the label is taken from %s before it has said that no pod is bound: %+v", h.name, c.Node)
		}
	}
	if c.Label != rollout.LabelKept && c.Label != rollout.LabelSet && h.podsAtWrite > 0 {
		w.fails("the label is taken from %s while it reports pods", h.name)
	}
	switch {
	case c.Entered && c.Node.Available() && h.broken == "":
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
	seen := decide.Seen{}
	for _, name := range sorted(w.nodes.now) {
		seen.Nodes = append(seen.Nodes, facts.OfNode(w.nodes.now[name]))
	}
	w.leader.reads(&seen)
	return w.divide(slices.Collect(maps.Values(w.configs.now)), seen)
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

// consistent is what every decision is, whatever the cluster looks like.
func (w *world) consistent(d decide.Decision, seen decide.Seen) {
	changes := map[string]rollout.Change{}
	for _, c := range d.Changes {
		if _, twice := changes[c.Node.Name]; twice {
			w.fails("two changes of %s", c.Node.Name)
		}
		changes[c.Node.Name] = c
		begins := starts(c)
		if w.unguarded && (begins || c.Entered || c.Label == rollout.LabelSet) {
			w.fails("%s of %s without policies", c.Event, c.Node.Name)
		}
	}
	for _, p := range w.divide(seen.Configs, seen).Pools {
		for _, m := range p.Members {
			if c := changes[m.Name]; starts(c) {
				w.rightPayload(p, m, c, seen)
			}
		}
		w.withinWidth(p, changes)
		w.fetchesLast(p, changes)
		if d.Existing != nil && !p.Config.Deleting && (d.Desired == nil || d.Desired.Scheduling.NodeSelector[node.ReadyLabel] == "") {
			w.fails("the RuntimeClass is withdrawn while %s is there: %+v", p.Config.Name, d.Desired)
		}
	}
	w.rebootsWithinBudget(d, seen)
	for _, s := range d.Statuses {
		st := s.Status
		sum := st.CompletedNodesCount + st.InProgressNodesCount + st.WaitingNodesCount + st.FailedNodesCount
		if st.TotalNodesCount != sum || int(sum) > len(seen.Nodes) || len(st.Conditions) != 3 {
			w.fails("the status of %s does not add up: %+v", s.Config.Name, st)
		}
	}
}

// starts is true for a change that gives a node something to install.
func starts(c rollout.Change) bool {
	return c.Intent != nil && c.Intent.State == node.StateInstalled && !c.Entered && c.Event != rollout.EventPrefetch
}

// withinWidth holds for the nodes that one KataConfig begins to work on: none while it is paused,
// of each payload one until it is proved, and at most maxParallel of all together.
func (w *world) withinWidth(p selection.Pool, changes map[string]rollout.Change) {
	c := p.Config
	for _, n := range slices.Concat(p.Members, p.Leaving) {
		if _, changed := changes[n.Name]; changed && c.Paused && !c.Deleting {
			w.fails("%s is changed although %s is paused", n.Name, c.Name)
		}
	}
	begun, moving := 0, 0
	for _, payload := range payloadsOf(p) {
		b, m, proven := w.crew(p, payload, changes)
		if b > 0 && !proven && b+m > 1 {
			w.fails("%s starts %s on %d nodes while %d work, and none has proved it: %+v", c.Name, payload, b, m, changes)
		}
		w.stopsAtFailures(p, payload, b, proven)
		begun, moving = begun+b, moving+m
	}
	if begun > 0 && begun+moving > c.MaxParallel {
		w.fails("%s starts on %d nodes while %d work, and may work on %d: %+v", c.Name, begun, moving, c.MaxParallel, changes)
	}
}

// crew counts the members that begin with a payload, and that are at work on it.
func (w *world) crew(p selection.Pool, payload string, changes map[string]rollout.Change) (begun, moving int, proven bool) {
	for _, n := range p.Members {
		proven = proven || n.Settled() && n.Intent.Payload == payload
		switch {
		case n.Wanted == nil || n.Wanted.Payload != payload:
		case starts(changes[n.Name]) && !n.Resumes():
			begun++
		case n.Carries() && w.moves(n.Node):
			moving++
		}
	}
	return begun, moving, proven
}

// moves is true for a node that is certain to get further by itself.
func (w *world) moves(n facts.Node) bool {
	answers := n.Answered() && n.Report.Error == nil && n.Report.HostCheck == "" && w.now.Sub(n.Since) < w.settings().ProgressDeadline
	return n.Ready && answers && !n.Settled()
}
