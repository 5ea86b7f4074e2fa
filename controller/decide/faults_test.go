// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// payloadC is one that starts on no host while it is bad.
const payloadC = "registry.example.com/kata/payload@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

// Accident is something that happens to a node, to an object or to its administrator's mind.
func (w *world) Accident() {
	h := w.any()
	all := []struct {
		what string
		do   func(*host)
	}{
		{"reboots", (*host).reboot},
		{"is relabelled", func(h *host) { h.Relabels() }},
		{"is cordoned or not any more", func(h *host) { h.Cordons() }},
		{"has no agent for a while", func(h *host) { h.Paused = w.IntN(8) }},
		{"is not Ready for a while", func(h *host) { h.Flaps() }},
		{"is cut off from the API server for a while", func(h *host) { h.leaves() }},
		{"is deleted or registers", w.remakes},
		{"is meddled with", w.meddles},
		{"is meddled with", w.meddles},
		{"sees a KataConfig change", func(*host) { w.Administers() }},
		{"sees a KataConfig change", func(*host) { w.Administers() }},
		{"sees the broken host break", w.breaks},
		{"loses the ledger", func(*host) { w.LosesLedger() }},
		{"is worked on by the machine-config operator, or not any more", func(h *host) { h.Configures() }},
		{"sees the leader's watches end", func(*host) { w.Leader.Relist() }},
		{"has to be rebooted", func(h *host) { h.needsReboot = true }},
		{"has to be rebooted", func(h *host) { h.needsReboot = true }},
		{"is upgraded", w.upgrades},
		{"has no agent for an hour", w.hour},
		{"loses its agent with its next grant", (*host).tires},
		{"loses its agent with its next grant", (*host).tires},
		{"sees a day pass", func(*host) { w.Now = w.Now.Add(day); w.Moved() }},
		{"has another version of the agent", func(h *host) { h.older = !h.older }},
		{"sees the catalogue change", w.publishes},
		{"sees its cluster desire a version", w.desires},
		{"sees the cluster's version unread or read", func(*host) { w.unread = !w.unread }},
	}
	chosen := all[w.IntN(len(all))]
	w.Tells("%s %s", h.Name, chosen.what)
	chosen.do(h)
}

// remakes deletes a Node, or registers it again: the same machine, or another one of its name.
func (w *world) remakes(h *host) {
	if h.Object() != nil {
		h.pods, h.strays = 0, 0
		h.Deleted()
		return
	}
	if w.Likely(50) {
		h.replace()
	}
	h.pods, h.strays = 0, 0
	h.Register()
}

// hour lets all agents do nothing for longer than every deadline, and that of one node for a while
// longer, of one that has not used its grant where there is one: such a grant must not be used
// later, next to another one. What was used is over, and an agent that knows no pings keeps what it
// has not used (docs/protocol.md). Kubelets beat meanwhile, and no cache of the leader is that
// late.
func (w *world) hour(h *host) {
	for _, m := range w.Machines {
		b := w.named(m.Base().Name)
		switch {
		case !b.Available(), b.restarts > 0, b.older:
			b.Excuse()
		case b.Disrupted != "":
			h = b
		}
		if b.Object() != nil {
			b.Beat()
		}
	}
	w.Now = w.Now.Add(time.Hour)
	w.Leader.CatchUp()
	h.Paused = 1 + w.IntN(8)
}

// tires lets the agent end when it gets its next grant, before it uses that.
func (h *host) tires() { h.tired = true }

// breaks lets the broken host of this world be broken from now on.
func (w *world) breaks(*host) {
	if h := w.victim; h != nil && h.Broken == "" {
		h.Broken = w.fault
		h.Excuse()
		if h.Broken == degraded && h.Object() != nil {
			h.Edit(func(*corev1.Node) {})
		}
	}
}

// Administrator may make three KataConfigs.
func (w *world) Administrator() decidetest.Administrator {
	return decidetest.Administrator{
		Cluster: &w.Cluster, Dice: w.Dice, Names: 3, Everywhere: 40, Moved: w.Moved,
		Changes: []func(*v1.KataInstallConfig){
			func(*v1.KataInstallConfig) { w.Unguarded = !w.Unguarded },
			func(c *v1.KataInstallConfig) {
				c.Handlers = [][]v1.HandlerName{nil, {"rs"}, {"rs", "debug"}}[w.IntN(3)]
			},
			func(c *v1.KataInstallConfig) { c.PayloadImage = w.One("", factstest.PayloadB, payloadC) },
		},
	}
}

// Repair lets every payload start, and publishes a catalogue for every version.
func (w *world) Repair() {
	clear(w.bad)
	w.unread = false
	if w.catalogued {
		w.publish(w.upTo(newest))
		w.desires(nil)
	}
}
