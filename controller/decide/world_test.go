// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
)

// world is a cluster in which everything happens that the controller has to live with: KataConfigs
// come and go and hand nodes over to each other, nodes are relabelled, rebooted and made again,
// others edit what is the controller's, caches lag, writes conflict, instances die and freeze, pods
// come and go, and one host is broken. Its agents are a model of the real ones.
type world struct {
	decidetest.Life

	victim *host  // the host that is broken at some time, nil for none
	fault  string // what is wrong with it then
	bad    map[string]bool

	catalogued bool // whether a catalogue chooses payloads
	published  published
	unread     bool // whether no instance has read the cluster's version
}

func newWorld(t *testing.T, seed uint64, late bool) *world {
	t.Helper()
	w := &world{bad: map[string]bool{payloadC: true}}
	w.Life = decidetest.New(t, w, seed, late, seeds.Count(t) == 1)
	for i := range 3 + w.IntN(3) {
		h := &host{w: w, work: 2, minor: oldest + w.IntN(2), older: w.Likely(20)}
		h.Name, h.Pool = fmt.Sprintf("w%d", i), w.One("x", "y")
		h.Join(&w.Life, h)
	}
	w.victim, w.fault = w.any(), w.One(noKVM, unfit, dead, silent, notReady, degraded)
	if w.Likely(50) {
		w.breaks(nil)
	}
	if w.catalogued = w.Likely(60); w.catalogued {
		w.publish(w.upTo(oldest + 1))
	}
	w.Begin()
	return w
}

func (w *world) any() *host { return w.Any().(*host) } //nolint:errcheck,forcetypeassert // There are no others.

func (w *world) named(name string) *host { return w.Named(name).(*host) } //nolint:errcheck,forcetypeassert // There are no others.

// Settings are the controller's.
func (w *world) Settings() decide.Settings {
	return decide.Settings{
		DefaultPayload: factstest.PayloadA,
		AgentDeadline:  5 * time.Minute, ProgressDeadline: 30 * time.Minute, FailureGrace: 10 * time.Minute, PingInterval: day,
	}
}

// Meanwhile is an observation of an agent, and an accident.
func (w *world) Meanwhile() {
	w.any().observes()
	w.Accident()
}

// Heal repairs the broken host.
func (w *world) Heal() { w.victim.Broken, w.victim = "", nil }

// Check has nothing to add.
func (w *world) Check() {}

// Sound is true of a host that the machine-config operator has given up on, too: a removal does not
// need it.
func (w *world) Sound(m decidetest.Machine) bool {
	broken := m.Base().Broken
	return broken == "" || broken == degraded
}

// Complete is a node that has ahead of time what the next version needs.
func (w *world) Complete(p selection.Pool, m selection.Member) { w.hasAhead(p, m) }

// Lands judges labels by what the host has proved, and notes a grant.
func (w *world) Lands(m decidetest.Machine, c rollout.Change) {
	h := w.named(m.Base().Name)
	if len(c.Further) > 0 && c.Node.BootID == h.bootID() && !slices.Equal(h.handlers, c.Node.Intent.Handlers) {
		w.Fails("%s gets labels of %v and has proved %v", h.Name, c.Further, h.handlers)
	}
	if c.Label == rollout.LabelSet && c.Node.BootID == h.bootID() && h.proved != h.serving {
		w.Fails("the label is set on %s, which has not proved its payload: %+v", h.Name, c.Node)
	}
	switch {
	case c.Event == rollout.EventLapse:
		h.Excuse()
	case c.Entered && h.Broken == "" && c.Node.Report.BootID == h.bootID():
		h.Disrupted = c.Intent.Owner.UID
		if h.tired && !w.Calm {
			h.tired, h.Paused = false, 40
		}
	case c.ClearIntent, c.Intent != nil && (c.Intent.State == node.StateAbsent || c.Intent.Owner.UID != h.Disrupted):
		h.Excuse()
	}
}
