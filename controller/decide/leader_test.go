// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/kata-node/kata-node/controller/view"
	"github.com/kata-node/kata-node/payload/catalog"
)

// leader is one instance of the controller, with its caches and its writes as controller.go and
// package apply make them.
type leader struct {
	w       *world
	view    view.Nodes
	cluster decide.Cluster
	// whole is a view that is read anew in each pass.
	whole   view.Nodes
	nodes   informer[*corev1.Node]
	configs informer[*v1.KataConfig]
	classes informer[*nodev1.RuntimeClass]
	ledgers informer[*corev1.ConfigMap]
	// entered is what this instance wrote into the ledger last, refused whether it could not in the
	// present pass.
	entered *corev1.ConfigMap
	refused bool

	// catalog is the last good one, problem why the present document is none, read which that was.
	catalog *catalog.Catalog
	problem string
	read    int

	// left are the writes before which it was frozen; stale is true once another instance leads.
	left   []func()
	frozen int // rounds until it goes on
	waited int
	extra  int // passes that it takes after another instance has begun to lead
	stale  bool
}

// lead starts an instance, which has listed everything.
func (w *world) lead() {
	l := &leader{w: w, nodes: informer[*corev1.Node]{of: &w.nodes}, configs: informer[*v1.KataConfig]{of: &w.configs}, classes: informer[*nodev1.RuntimeClass]{of: &w.classes}, ledgers: informer[*corev1.ConfigMap]{of: &w.ledgers}}
	l.catchUp()
	w.leader = l
}

func (w *world) settings() decide.Settings {
	return decide.Settings{
		DefaultPayload: factstest.PayloadA,
		AgentDeadline:  5 * time.Minute, ProgressDeadline: 30 * time.Minute, FailureGrace: 10 * time.Minute,
	}
}

func (l *leader) seen() decide.Seen {
	s := decide.Seen{Configs: l.configs.list(), Nodes: l.whole.Read(factstest.Cached(l.nodes.list()...), l.w.now), Changed: l.view.Update(l.changed(), l.w.now), RuntimeClass: l.classes.has[node.RuntimeClass]}
	if l.w.unguarded {
		s.PolicyProblem = "a policy is missing"
	}
	l.reads(&s)
	s.Ledger = l.ledger()
	return s
}

// pass is one of this instance. It may die or be frozen before any of its writes, and others act
// between them.
func (l *leader) pass() {
	seen := l.seen()
	d := l.cluster.Decide(seen, l.w.settings(), l.w.now)
	l.w.same(d, decide.Decide(seen, l.w.settings(), l.w.now))
	l.w.consistent(d, seen)
	writes := l.writes(d)
	for i, write := range writes {
		switch {
		case !l.w.calm && l.w.likely(2):
			l.w.tells("a leader dies")
			if l.extra = 0; !l.stale {
				l.w.lead()
			}
			return
		case !l.w.calm && l.w.likely(2):
			l.w.tells("a leader freezes")
			l.left, l.frozen = writes[i:], 1+l.w.rnd.IntN(10)
			return
		}
		if l.w.ends(write) {
			return
		}
		l.w.step()
		if !l.w.calm && l.w.likely(10) {
			l.w.host().act()
			l.w.accident()
			l.w.step()
		}
	}
}

func (l *leader) writes(d decide.Decision) []func() {
	var out []func()
	for _, kc := range d.Accept {
		out = append(out, func() { l.finalizers(kc, append(slices.Clone(kc.Finalizers), facts.Finalizer)) })
	}
	if (d.Existing != nil || d.Desired != nil) && (d.Existing == nil || runtimeclass.Foreign(d.Existing) == nil) {
		out = append(out, func() { l.class(d.Existing, d.Desired) })
	}
	l.refused = false
	switch {
	case d.RestoreLedger:
		out = append(out, l.restores()...)
	case d.Ledger != nil:
		out = append(out, func() { l.enter(*d.Ledger) })
	}
	for _, c := range d.Changes {
		out = append(out, func() { l.node(c) })
	}
	for _, s := range d.Statuses {
		if !equality.Semantic.DeepEqual(s.Config.Status, s.Status) {
			out = append(out, func() { l.config(s.Config, func(kc *v1.KataConfig) { kc.Status = s.Status }) })
		}
	}
	for _, kc := range d.Release {
		out = append(out, func() {
			l.finalizers(kc, slices.DeleteFunc(slices.Clone(kc.Finalizers), func(f string) bool { return f == facts.Finalizer }))
		})
	}
	return out
}

func (l *leader) finalizers(kc *v1.KataConfig, finalizers []string) {
	l.config(kc, func(kc *v1.KataConfig) { kc.Finalizers = finalizers })
}

func (l *leader) config(seen *v1.KataConfig, change func(*v1.KataConfig)) {
	kc, current := l.w.configs.current(seen)
	if !current {
		return
	}
	l.w.busy = true
	kc = kc.DeepCopy()
	change(kc)
	if kc.DeletionTimestamp != nil && len(kc.Finalizers) == 0 {
		l.w.configs.remove(kc.Name)
		return
	}
	l.w.configs.put(kc, l.w.next())
}

func (l *leader) class(existing, desired *nodev1.RuntimeClass) {
	present, found := l.w.classes.now[node.RuntimeClass]
	switch {
	case existing == nil && found, existing != nil && (!found || present.ResourceVersion != existing.ResourceVersion):
	case existing == nil:
		made := desired.DeepCopy()
		made.UID = l.w.uid()
		l.w.putClass(made)
	case desired == nil:
		l.w.classGoes(l)
		l.w.busy = true
		l.w.classes.remove(node.RuntimeClass)
	case !runtimeclass.Same(existing, desired):
		l.w.putClass(runtimeclass.Merge(existing, desired))
	}
}

func (w *world) putClass(class *nodev1.RuntimeClass) {
	w.busy = true
	w.classes.put(class, w.next())
}

// node is refused where the Node is not what the decision was made from.
func (l *leader) node(c rollout.Change) {
	n, found := l.w.nodes.now[c.Node.Name]
	if c.Entered && l.refused || !found || string(n.UID) != c.Node.UID || n.ResourceVersion != c.Node.ResourceVersion {
		return
	}
	h := l.w.named(c.Node.Name)
	before := n
	l.w.lands(l, h, c)
	l.w.busy = true
	h.edit(func(n *corev1.Node) {
		switch {
		case c.ClearIntent:
			delete(n.Annotations, node.IntentAnnotation)
		case c.Intent != nil:
			document, err := c.Intent.Encode()
			require.NoError(l.w.t, err)
			n.Annotations[node.IntentAnnotation] = document
		}
		if c.Untaint {
			n.Spec.Taints = c.Node.Taints
		}
		switch c.Label {
		case rollout.LabelSet:
			n.Labels[node.ReadyLabel], h.labelledByHand = node.ReadyValue, false
		case rollout.LabelCleared:
			delete(n.Labels, node.ReadyLabel)
			for _, label := range c.Node.FurtherLabels() {
				delete(n.Labels, label)
			}
		case rollout.LabelKept:
		}
		for _, name := range c.Further {
			n.Labels[node.FurtherLabel(name)] = node.ReadyValue
		}
	})
	l.w.changed(h, before)
	if l.w.answered() { // Else the answer is lost.
		l.view.Wrote(h.object())
		l.whole.Wrote(h.object())
	}
}
