// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/release"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/view"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/payload/catalog"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// world is a cluster of two nodes that work and one that is broken.
type world struct {
	t        *testing.T
	clock    time.Time
	tick     int
	machines []*machine
	configs  []*v1.KataConfig
	class    *nodev1.RuntimeClass
	catalog  *catalog.Catalog
	desired  release.Desired
	view     view.Nodes

	// How far watches are behind, in ticks; whether the controller is away; whether new pods come,
	// after how many ticks one does, and how long it lives.
	controllerBehind, agentsBehind int
	away, arrive                   bool
	gap, life                      int
}

func payload() hosttest.Payload { return hosttest.Payload{Version: "1.0.0", Shim: "#!/bin/true"} }

// newWorld has the broken node first in the order of names.
func newWorld(t *testing.T, broken string) *world {
	t.Helper()
	w := &world{t: t, clock: time.Unix(1_800_000_000, 0), gap: 1, life: 5, arrive: true}
	w.machines = []*machine{newMachine(t, "a", broken), newMachine(t, "b", "", payload()), newMachine(t, "c", "", payload())}
	return w
}

func (w *world) create(name string) {
	kc := &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name), CreationTimestamp: metav1.NewTime(w.clock)}}
	kc.Spec.Config.PayloadImage = payload().Reference()
	kc.Spec.KataConfigPoolSelector = &v1.PoolSelector{MatchLabels: map[string]v1.LabelValue{"pool": "x"}}
	w.configs = append(w.configs, kc)
}

func (w *world) delete(name string) {
	w.configs[w.index(name)].DeletionTimestamp = &metav1.Time{Time: w.clock}
}

func (w *world) index(name string) int {
	return slices.IndexFunc(w.configs, func(kc *v1.KataConfig) bool { return kc.Name == name })
}

// turn lets everybody act once. A pod comes at every moment at which it can.
func (w *world) turn() {
	w.tick++
	w.clock = w.clock.Add(30 * time.Second)
	for _, m := range w.machines {
		m.agent(w.agentsBehind)
	}
	w.schedule()
	if !w.away {
		w.controller()
	}
	w.schedule()
	for _, m := range w.machines {
		m.history = append(m.history, m.now)
	}
}

func (w *world) schedule() {
	for _, m := range w.machines {
		draws := w.class != nil && m.now.labels[node.ReadyLabel] == w.class.Scheduling.NodeSelector[node.ReadyLabel] && m.now.labelled()
		m.pod(w.tick, w.life, draws && w.arrive && w.tick%w.gap == 0)
		require.True(w.t, len(m.now.pods) == 0 || m.serves(), "tick %d: %v are bound to %s, which has no Kata", w.tick, m.now.pods, m.name)
	}
}

// controller takes one pass. Its writes are refused where the Node has changed since.
func (w *world) controller() {
	nodes := make([]*corev1.Node, 0, len(w.machines))
	for _, m := range w.machines {
		nodes = append(nodes, m.object(m.controllers.of(m, w.controllerBehind)))
	}
	d := decide.Decide(decide.Seen{Configs: w.configs, Nodes: w.view.Read(factstest.Cached(nodes...), w.clock), RuntimeClass: w.class, Catalog: w.catalog, Desired: w.desired}, decide.Settings{
		AgentDeadline: 5 * time.Minute, ProgressDeadline: 30 * time.Minute, FailureGrace: 10 * time.Minute,
	}, w.clock)
	for _, kc := range d.Accept {
		kc.Finalizers = append(kc.Finalizers, facts.Finalizer)
	}
	w.class = d.Desired
	for _, c := range d.Changes {
		w.change(c)
	}
	for _, s := range d.Statuses {
		s.Config.Status = s.Status
	}
	for _, kc := range d.Release {
		w.configs = slices.Delete(w.configs, w.index(kc.Name), w.index(kc.Name)+1)
	}
}

func (w *world) change(c rollout.Change) {
	m := w.machines[slices.IndexFunc(w.machines, func(m *machine) bool { return m.name == c.Node.Name })]
	if strconv.Itoa(m.now.version) != c.Node.ResourceVersion {
		return
	}
	m.write(func(labels, annotations map[string]string) {
		switch {
		case c.ClearIntent:
			delete(annotations, node.IntentAnnotation)
		case c.Intent != nil:
			document, err := c.Intent.Encode()
			require.NoError(w.t, err)
			annotations[node.IntentAnnotation] = document
		}
		switch c.Label {
		case rollout.LabelSet:
			require.True(w.t, m.serves(), "tick %d: the label is set on %s, which has no Kata", w.tick, m.name)
			labels[node.ReadyLabel] = node.ReadyValue
		case rollout.LabelCleared:
			require.True(w.t, c.Node.Answered() && c.Node.Report.BoundPods.Count == 0, "tick %d: a kubelet of %s that restarts would reject its pods", w.tick, m.name)
			delete(labels, node.ReadyLabel)
			for _, label := range c.Node.FurtherLabels() {
				delete(labels, label)
			}
		case rollout.LabelKept:
		}
		for _, name := range c.Further {
			require.Contains(w.t, m.usable(), name, "tick %d: the label of %s is set on %s, which has not proved it", w.tick, name, m.name)
			labels[node.FurtherLabel(name)] = node.ReadyValue
		}
	})
	w.view.Wrote(m.object(m.now))
}

// until takes turns until the condition holds.
func (w *world) until(what string, turns int, holds func() bool) {
	w.t.Helper()
	for range turns {
		if holds() {
			return
		}
		w.turn()
	}
	for _, m := range w.machines {
		w.t.Logf("%s (%s): %v %v, pods %v", m.name, m.broken, m.now.labels, m.now.annotations, m.now.pods)
	}
	require.Fail(w.t, "not "+what)
}

// every is true when the condition holds for both nodes that work.
func (w *world) every(holds func(*machine) bool) func() bool {
	return func() bool {
		return !slices.ContainsFunc(w.machines, func(m *machine) bool { return m.broken == "" && !holds(m) })
	}
}

func ready(m *machine) bool {
	return m.now.labelled() && m.serves() && m.last.Phase == node.PhaseInstalled
}

func clean(m *machine) bool {
	_, intent := m.now.annotations[node.IntentAnnotation]
	return !intent && !m.now.labelled() && m.now.labels[node.FurtherLabel("rs")] == "" && m.last.Phase == node.PhaseIdle && len(m.host.Mounts) == 0
}
