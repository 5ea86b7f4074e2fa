// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/view"
)

// tick is how much time a round of the world takes.
const tick = 30 * time.Second

// world is a cluster in which everything happens that the controller has to live with: caches lag,
// writes conflict, instances are replaced, pods come and go, nodes reboot, and one node is broken.
type world struct {
	t       *testing.T
	seed    uint64
	rnd     *rand.Rand
	now     time.Time
	version int

	config  *v1.KataConfig
	class   *nodev1.RuntimeClass
	hosts   []*host
	view    *view.Nodes
	calm    bool
	changes int
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 1)), now: factstest.Noon(), view: &view.Nodes{}}
	for i := range 3 + w.rnd.IntN(4) {
		w.hosts = append(w.hosts, newHost(w, fmt.Sprintf("w%d", i)))
	}
	broken := []string{noKVM, dead, silent, notReady}
	w.hosts[w.rnd.IntN(len(w.hosts))].broken = broken[w.rnd.IntN(len(broken))]
	w.config = &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: "c", UID: "uid-of-c", Generation: 1, CreationTimestamp: metav1.NewTime(w.now)}}
	w.config.Spec.Config.PayloadImage = factstest.PayloadA
	return w
}

func (w *world) likely(percent int) bool { return w.rnd.IntN(100) < percent }

func (w *world) next() string {
	w.version++
	return strconv.Itoa(w.version)
}

func (w *world) settings() decide.Settings {
	return decide.Settings{AgentDeadline: 5 * time.Minute, ProgressDeadline: 30 * time.Minute, FailureGrace: 10 * time.Minute}
}

// round lets everybody act once, in an order that is never the same.
func (w *world) round() {
	w.now = w.now.Add(tick)
	for _, i := range w.rnd.Perm(len(w.hosts)) {
		w.hosts[i].act()
		w.hosts[i].schedule()
	}
	another := !w.calm && w.likely(5)
	if another {
		w.view = &view.Nodes{} // Another instance leads now. It has listed all Nodes.
	}
	for _, h := range w.hosts {
		if w.calm || another || w.likely(60) {
			h.cached = h.stored.DeepCopy()
		}
	}
	if w.calm || w.likely(80) {
		w.pass()
	}
	w.invariants()
}

// pass is one of the controller, which may die before any of its writes.
func (w *world) pass() {
	var cached []*corev1.Node
	for _, h := range w.hosts {
		cached = append(cached, h.cached)
	}
	seen := decide.Seen{Nodes: w.view.Read(cached, w.now), RuntimeClass: w.class}
	if w.config != nil {
		seen.Configs = []*v1.KataConfig{w.config}
	}
	d := decide.Decide(seen, w.settings(), w.now)
	w.consistent(d, seen)
	dies := -1
	if !w.calm && w.likely(10) {
		dies = w.rnd.IntN(4)
	}
	w.write(d, dies)
}

func (w *world) write(d decide.Decision, dies int) {
	if len(d.Accept) > 0 {
		w.config.Finalizers = append(w.config.Finalizers, facts.Finalizer)
	}
	if w.class != nil && d.Desired == nil {
		for _, h := range w.hosts {
			require.False(w.t, h.labelled() && h.pods > 0, "seed %d: the class is deleted while pods run on %s", w.seed, h.stored.Name)
		}
	}
	w.class = d.Desired
	for i, change := range d.Changes {
		if i == dies {
			return
		}
		w.change(change)
	}
	for _, s := range d.Statuses {
		w.config.Status = s.Status
	}
	if len(d.Release) > 0 {
		w.config = nil
	}
}

// change is refused where the Node is not what the decision was made from.
func (w *world) change(c rollout.Change) {
	at := slices.IndexFunc(w.hosts, func(h *host) bool { return h.stored.Name == c.Node.Name })
	h := w.hosts[at]
	if string(h.stored.UID) != c.Node.UID || h.stored.ResourceVersion != c.Node.ResourceVersion {
		return
	}
	w.changes++
	if c.Label == rollout.LabelCleared {
		require.Zero(w.t, h.reported().BoundPods.Count, "seed %d: the label is taken from %s while it reports pods", w.seed, c.Node.Name)
	}
	n := h.stored.DeepCopy()
	switch {
	case c.ClearIntent:
		delete(n.Annotations, node.IntentAnnotation)
	case c.Intent != nil:
		document, err := c.Intent.Encode()
		require.NoError(w.t, err)
		n.Annotations[node.IntentAnnotation] = document
	}
	switch c.Label {
	case rollout.LabelSet:
		n.Labels[node.ReadyLabel] = node.ReadyValue
	case rollout.LabelCleared:
		delete(n.Labels, node.ReadyLabel)
	case rollout.LabelKept:
	}
	h.store(n)
	w.view.Wrote(h.stored)
}

// consistent is what every decision is, whatever the cluster looks like.
func (w *world) consistent(d decide.Decision, seen decide.Seen) {
	changed := map[string]bool{}
	for _, c := range d.Changes {
		require.False(w.t, changed[c.Node.Name], "seed %d: two changes of %s", w.seed, c.Node.Name)
		changed[c.Node.Name] = true
	}
	for _, s := range d.Statuses {
		st := s.Status
		require.Equal(w.t, st.TotalNodesCount, st.CompletedNodesCount+st.InProgressNodesCount+st.WaitingNodesCount+st.FailedNodesCount, "seed %d", w.seed)
		require.LessOrEqual(w.t, int(st.TotalNodesCount), len(seen.Nodes), "seed %d", w.seed)
		require.Len(w.t, st.Conditions, 3)
	}
}

// invariants hold after every round. A node whose kubelet is not Ready may restart CRI-O at any
// time: it is unavailable anyway.
func (w *world) invariants() {
	restarting := 0
	for _, h := range w.hosts {
		if h.restarts > 0 && h.broken != notReady {
			restarting++
		}
	}
	require.LessOrEqual(w.t, restarting, max(1, len(w.hosts)/10), "seed %d: more restarts of CRI-O at once than maxUnavailable", w.seed)
}

func named(name string) types.UID { return types.UID("uid-of-" + name) }
