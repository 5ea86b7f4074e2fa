// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// payloadC is one that starts on no host while it is bad.
const payloadC = "registry.example.com/kata/payload@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

// accident is something that happens to a node, to an object or to its administrator's mind.
func (w *world) accident() {
	h := w.host()
	all := []struct {
		what string
		do   func(*host)
	}{
		{"reboots", w.reboots},
		{"is relabelled", w.relabels},
		{"is cordoned or not any more", w.cordons},
		{"has no agent for a while", w.pauses},
		{"is not Ready for a while", w.flaps},
		{"is deleted or registers", w.remakes},
		{"is meddled with", w.meddles},
		{"is meddled with", w.meddles},
		{"sees a KataConfig change", w.administers},
		{"sees a KataConfig change", w.administers},
		{"sees the broken host break", w.breaks},
		{"loses the ledger", w.losesLedger},
		{"is worked on by the machine-config operator, or not any more", w.configures},
		{"sees the leader's watches end", w.relists},
		{"has to be rebooted", w.needs},
		{"has to be rebooted", w.needs},
		{"is upgraded", w.upgrades},
		{"sees a day pass", func(*host) { w.now = w.now.Add(day); w.moved() }},
		{"has another version of the agent", func(h *host) { h.older = !h.older }},
		{"sees the catalogue change", w.publishes},
		{"sees its cluster desire a version", w.desires},
		{"sees the cluster's version unread or read", func(*host) { w.unread = !w.unread }},
	}
	chosen := all[w.rnd.IntN(len(all))]
	w.tells("%s %s", h.name, chosen.what)
	chosen.do(h)
}

func (w *world) reboots(h *host) { h.reboot() }

// relabels moves a node out of a KataConfig's selection, or into one again.
func (w *world) relabels(h *host) {
	h.pool = w.rnd.One("x", "y", "")
	h.permit = permit{}
	if h.object() != nil {
		h.edit(func(n *corev1.Node) { n.Labels["pool"] = h.pool })
	}
}

func (w *world) cordons(h *host) {
	if h.object() != nil {
		h.edit(func(n *corev1.Node) { n.Spec.Unschedulable = !n.Spec.Unschedulable })
	}
}

func (w *world) pauses(h *host) { h.paused = w.rnd.IntN(8) }

func (w *world) flaps(h *host) { h.down, h.permit = w.rnd.IntN(8), permit{} }

// remakes deletes a Node, or registers it again: the same machine, or another one of its name.
func (w *world) remakes(h *host) {
	if h.object() != nil {
		h.pods, h.permit = 0, permit{}
		w.Nodes.Remove(h.name)
		return
	}
	if w.rnd.Likely(50) {
		h.replace()
	}
	h.register()
}

// breaks lets the broken host of this world be broken from now on.
func (w *world) breaks(*host) {
	if h := w.hosts[w.victim]; h.broken == "" {
		h.broken, h.permit = w.fault, permit{}
		if h.broken == degraded && h.object() != nil {
			h.edit(func(*corev1.Node) {})
		}
	}
}

// administrator may make three KataConfigs.
func (w *world) administrator() decidetest.Administrator {
	return decidetest.Administrator{
		Cluster: &w.Cluster, Dice: w.rnd, Names: 3, Everywhere: 40, Moved: w.moved,
		Changes: []func(*v1.KataInstallConfig){
			func(*v1.KataInstallConfig) { w.unguarded = !w.unguarded },
			func(c *v1.KataInstallConfig) {
				c.Handlers = [][]v1.HandlerName{nil, {"rs"}, {"rs", "debug"}}[w.rnd.IntN(3)]
			},
			func(c *v1.KataInstallConfig) { c.PayloadImage = w.rnd.One("", factstest.PayloadB, payloadC) },
		},
	}
}

func (w *world) administers(*host) { w.administrator().Act(w.now, w.ending, w.calm) }

// repair ends everything that only people can end, except the one broken host.
func (w *world) repair() {
	w.calm, w.unguarded, w.frozen = true, false, nil
	clear(w.bad)
	w.unread = false
	if w.catalogued {
		w.publish(w.upTo(newest))
		w.desires(nil)
	}
	w.lead()
	for _, h := range w.hosts {
		h.down, h.paused = 0, 0
		if h.object() == nil {
			h.register()
		}
		h.edit(func(n *corev1.Node) { n.Spec.Unschedulable = false; delete(n.Annotations, node.MachineState) })
	}
	for _, name := range decidetest.Names(w.Configs.Now) {
		kc := w.Configs.Now[name].DeepCopy()
		kc.Spec.Config.Paused = false
		kc.Generation++
		w.Configs.Put(kc, w.Next())
	}
	if class := w.Classes.Now[node.RuntimeClass]; class != nil && class.Labels == nil {
		w.Classes.Remove(node.RuntimeClass)
	}
}

// moved ends what the invariants say of outstanding grants: the pools are others now.
func (w *world) moved() {
	for _, h := range w.hosts {
		h.permit = permit{}
	}
}
