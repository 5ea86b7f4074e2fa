// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// world is a cluster in which everything happens that the controller has to live with: KataConfigs
// come and go and hand nodes over to each other, nodes are relabelled, rebooted and made again,
// others edit what is the controller's, caches lag, writes conflict, instances die and freeze, pods
// come and go, and one host is broken.
type world struct {
	decidetest.Cluster

	t    *testing.T
	seed uint64
	rnd  decidetest.Dice
	now  time.Time

	hosts  []*host
	victim int    // the host that is broken at some time
	fault  string // what is wrong with it then
	bad    map[string]bool

	leader *leader
	frozen []*leader // instances that have lost the lease without knowing it
	late   bool      // whether the writes of those arrive

	catalogued bool // whether a catalogue chooses payloads
	published  published
	unread     bool // whether no instance has read the cluster's version

	calm, ending bool // without accidents, without new KataConfigs
	unguarded    bool // whether the admission policies are missing
	busy         bool // whether anything changed in this round
	steps        int
	kill         *kill

	verbose bool
	story   []string // what happened, if verbose
}

func newWorld(t *testing.T, seed uint64, late bool) *world {
	t.Helper()
	w := &world{t: t, seed: seed, rnd: decidetest.Dice{Rand: rand.New(rand.NewPCG(seed, 1))}, now: factstest.Noon(), bad: map[string]bool{payloadC: true}, late: late, verbose: *seeds == 1}
	for i := range 3 + w.rnd.IntN(3) {
		h := &host{w: w, name: fmt.Sprintf("w%d", i), pool: w.rnd.One("x", "y"), work: 2, minor: oldest + w.rnd.IntN(2), older: w.rnd.Likely(20)}
		w.hosts = append(w.hosts, h)
		h.register()
	}
	w.victim, w.fault = w.rnd.IntN(len(w.hosts)), w.rnd.One(noKVM, unfit, dead, silent, notReady, degraded)
	if w.rnd.Likely(50) {
		w.breaks(nil)
	}
	if w.catalogued = w.rnd.Likely(60); w.catalogued {
		w.publish(w.upTo(oldest + 1))
	}
	w.administrator().Create("kc0", w.now)
	w.lead()
	return w
}

func (w *world) host() *host { return w.hosts[w.rnd.IntN(len(w.hosts))] }

func (w *world) named(name string) *host {
	return w.hosts[slices.IndexFunc(w.hosts, func(h *host) bool { return h.name == name })]
}

// round lets everybody act once, in an order that is never the same.
func (w *world) round() {
	w.busy = false
	w.now = w.now.Add(30 * time.Second)
	if w.calm {
		w.now = w.now.Add(90 * time.Second)
	}
	for _, i := range w.rnd.Perm(len(w.hosts)) {
		w.hosts[i].act()
		w.hosts[i].schedule()
		w.step()
	}
	if !w.calm && w.rnd.Likely(30) {
		w.accident()
		w.step()
	}
	w.leads()
	w.step()
}

// leads lets the leader take a pass, and those that only believe to be one.
func (w *world) leads() {
	for _, l := range w.frozen {
		l.thaws()
	}
	w.frozen = slices.DeleteFunc(w.frozen, func(l *leader) bool { return l.frozen <= -l.extra })
	switch l := w.leader; {
	case l.frozen > 0 && l.left != nil:
		l.thawsInTime()
	case w.calm:
		l.CatchUp()
		l.pass()
	default:
		l.watch()
		if w.rnd.Likely(80) {
			l.pass()
		}
	}
}

// schedule binds a pod wherever the class draws one, and lets others end.
func (h *host) schedule() {
	w := h.w
	if !w.calm && w.rnd.Likely(30) && h.draws() {
		h.pods++
		w.bound(h)
	}
	if h.pods > 0 && (w.calm || w.rnd.Likely(50)) {
		h.pods--
	}
}

func (h *host) draws() bool {
	class, n := h.w.Classes.Now[node.RuntimeClass], h.object()
	if class == nil || n == nil || n.Spec.Unschedulable || n.Status.Conditions[0].Status != corev1.ConditionTrue {
		return false
	}
	for key, value := range class.Scheduling.NodeSelector {
		if n.Labels[key] != value {
			return false
		}
	}
	return true
}
