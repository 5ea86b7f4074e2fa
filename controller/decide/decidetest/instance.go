// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/kata-node/kata-node/controller/view"
)

// Instance is one instance of the controller, with its caches and with its writes as controller.go
// and package apply make them.
type Instance struct {
	Nodes   Informer[*corev1.Node]
	Configs Informer[*v1.KataConfig]
	Classes Informer[*nodev1.RuntimeClass]
	Ledgers Informer[*corev1.ConfigMap]

	life *Life
	// reads adds what it sees of what not every simulation has.
	reads func(*decide.Seen)
	fate

	view    view.Nodes
	decider decide.Cluster
	// whole is a view that is read anew in each pass.
	whole view.Nodes
	// entered is what this instance wrote into the ledger last, refused whether it could not in the
	// present pass.
	entered *corev1.ConfigMap
	refused bool
}

// lead starts an instance, which has listed everything.
func (l *Life) lead() {
	l.Leader = &Instance{
		life: l, reads: l.sim.Reader(),
		Nodes: Watch(&l.Nodes), Configs: Watch(&l.Configs), Classes: Watch(&l.Classes), Ledgers: Watch(&l.Ledgers),
	}
	l.Leader.CatchUp()
}

// CatchUp takes in everything that has happened.
func (i *Instance) CatchUp() { i.Follow(func(behind int) int { return behind }) }

// Follow takes in some of what has happened, of each kind for itself.
func (i *Instance) Follow(some func(behind int) int) {
	i.Nodes.Follow(some(i.Nodes.Behind()))
	i.Configs.Follow(some(i.Configs.Behind()))
	i.Classes.Follow(some(i.Classes.Behind()))
	i.Ledgers.Follow(some(i.Ledgers.Behind()))
}

// Relist lets all watches end with 410.
func (i *Instance) Relist() {
	i.Nodes.Relist()
	i.Configs.Relist()
	i.Classes.Relist()
	i.Ledgers.Relist()
}

// Seen is what a pass sees, once: the Nodes that have changed are returned by no later call.
func (i *Instance) Seen() decide.Seen {
	s := decide.Seen{
		Configs: i.Configs.List(), RuntimeClass: i.Classes.Has[node.RuntimeClass], Ledger: i.ledger(),
		Nodes: i.whole.Read(i.cached(), i.life.Now), Changed: i.view.Update(i.changed(), i.life.Now),
	}
	if i.life.Unguarded {
		s.PolicyProblem = "a policy is missing"
	}
	i.reads(&s)
	return s
}

// cached is what the cache has.
func (i *Instance) cached() []*facts.Node {
	var out []*facts.Node
	for _, n := range i.Nodes.List() {
		out = append(out, i.life.facts(n))
	}
	return out
}

// changed is what the cache has of the Nodes whose changes it has taken in since the last pass.
func (i *Instance) changed() map[string]*facts.Node {
	out := map[string]*facts.Node{}
	for name := range i.Nodes.changed {
		out[name] = nil
		if n, found := i.Nodes.Has[name]; found {
			out[name] = i.life.facts(n)
		}
	}
	clear(i.Nodes.changed)
	return out
}

// Decide decides by what has changed, as the controller does.
func (i *Instance) Decide(seen decide.Seen, settings decide.Settings) decide.Decision {
	return i.decider.Decide(seen, settings, i.life.Now)
}

// Writes are those that a decision leads to, in their order. Each is refused where its object is
// not what the decision was made from.
func (i *Instance) Writes(d decide.Decision) []func() {
	var out []func()
	for _, kc := range d.Accept {
		out = append(out, func() { i.finalizers(kc, append(slices.Clone(kc.Finalizers), facts.Finalizer)) })
	}
	if (d.Existing != nil || d.Desired != nil) && (d.Existing == nil || runtimeclass.Foreign(d.Existing) == nil) {
		out = append(out, func() { i.class(d.Existing, d.Desired) })
	}
	i.refused = false
	switch {
	case d.RestoreLedger:
		out = append(out, i.restores()...)
	case d.Ledger != nil:
		out = append(out, func() { i.enter(*d.Ledger) })
	}
	for _, at := range i.life.Perm(len(d.Changes)) { // Several are on their way at once.
		out = append(out, func() { i.node(d.Changes[at]) })
	}
	for _, s := range d.Statuses {
		if !equality.Semantic.DeepEqual(s.Config.Status, s.Status) {
			out = append(out, func() { i.config(s.Config, func(kc *v1.KataConfig) { kc.Status = s.Status }) })
		}
	}
	for _, kc := range d.Release {
		out = append(out, func() {
			i.finalizers(kc, slices.DeleteFunc(slices.Clone(kc.Finalizers), func(f string) bool { return f == facts.Finalizer }))
		})
	}
	return out
}

func (i *Instance) finalizers(kc *v1.KataConfig, finalizers []string) {
	i.config(kc, func(kc *v1.KataConfig) { kc.Finalizers = finalizers })
}

func (i *Instance) config(read *v1.KataConfig, change func(*v1.KataConfig)) {
	kc, current := i.life.Configs.Current(read)
	if !current {
		return
	}
	i.life.Busy = true
	kc = kc.DeepCopy()
	change(kc)
	if kc.DeletionTimestamp != nil && len(kc.Finalizers) == 0 {
		i.life.Configs.Remove(kc.Name)
		return
	}
	i.life.Configs.Put(kc, i.life.Next())
}

func (i *Instance) class(existing, desired *nodev1.RuntimeClass) {
	present, found := i.life.Classes.Now[node.RuntimeClass]
	switch {
	case existing == nil && found, existing != nil && (!found || present.ResourceVersion != existing.ResourceVersion):
	case existing == nil:
		made := desired.DeepCopy()
		made.UID = i.life.UID()
		i.putClass(made)
	case desired == nil:
		if !i.stale {
			i.life.withdrawn()
		}
		i.life.Busy = true
		i.life.Classes.Remove(node.RuntimeClass)
	case !runtimeclass.Same(existing, desired):
		i.putClass(runtimeclass.Merge(existing, desired))
	}
}

func (i *Instance) putClass(class *nodev1.RuntimeClass) {
	i.life.Busy = true
	i.life.Classes.Put(class, i.life.Next())
}

// node is refused where the Node is not what the decision was made from, or a grant is entered in
// no ledger.
func (i *Instance) node(c rollout.Change) {
	before, found := i.life.Nodes.Now[c.Node.Name]
	if c.Entered && i.refused || !found || string(before.UID) != c.Node.UID || before.ResourceVersion != c.Node.ResourceVersion {
		return
	}
	i.life.lands(c)
	i.life.Busy = true
	after := before.DeepCopy()
	if err := Apply(after, c); err != nil {
		i.life.Fails("%s of %s: %v", c.Event, c.Node.Name, err)
	}
	i.life.Named(after.Name).Base().store(after)
	i.life.landed(before, after)
	if i.life.answered() {
		i.view.Wrote(after)
		i.whole.Wrote(after)
	}
}
