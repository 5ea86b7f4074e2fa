// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

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
	h.pool = w.one("x", "y", "")
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
	if w.likely(50) {
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

// administers changes the KataConfigs, or deletes one while another may select the same nodes.
func (w *world) administers(*host) {
	name := fmt.Sprintf("kc%d", w.rnd.IntN(3))
	kc := w.Configs.Now[name]
	switch {
	case kc == nil && !w.ending:
		w.creates(name)
	case kc == nil:
	case w.likely(30):
		w.deletes(kc)
	default:
		w.changes(kc)
	}
}

func (w *world) creates(name string) {
	kc := &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: name, UID: w.UID(), Generation: 1, CreationTimestamp: metav1.NewTime(w.now)}}
	kc.Spec.KataConfigPoolSelector = w.selector()
	if w.likely(50) {
		kc.Spec.Config.MaxUnavailable = new(intstr.FromInt32(1 + w.rnd.Int32N(2)))
	}
	if w.likely(50) {
		kc.Spec.Config.MaxParallel = new(1 + w.rnd.Int32N(4))
	}
	w.Configs.Put(kc, w.Next())
}

func (w *world) selector() *v1.PoolSelector {
	if w.likely(40) {
		return nil
	}
	return &v1.PoolSelector{MatchLabels: map[string]v1.LabelValue{"pool": v1.LabelValue(w.one("x", "y"))}}
}

// deletes lets a KataConfig go, sometimes by taking its finalizer away, too.
func (w *world) deletes(kc *v1.KataConfig) {
	forced := !w.calm && w.likely(10)
	if forced {
		w.moved()
	}
	if kc.DeletionTimestamp != nil && !forced {
		return
	}
	if len(kc.Finalizers) == 0 || forced {
		w.Configs.Remove(kc.Name)
		return
	}
	kc = kc.DeepCopy()
	kc.DeletionTimestamp = &metav1.Time{Time: w.now}
	kc.Generation++
	w.Configs.Put(kc, w.Next())
}

func (w *world) changes(kc *v1.KataConfig) {
	if kc.DeletionTimestamp != nil {
		return
	}
	kc = kc.DeepCopy()
	kc.Generation++
	switch w.rnd.IntN(5) {
	case 0:
		kc.Spec.Config.Paused = !kc.Spec.Config.Paused
	case 1:
		kc.Spec.KataConfigPoolSelector = w.selector()
		w.moved()
	case 2:
		w.unguarded = !w.unguarded
	case 3:
		kc.Spec.Config.Handlers = [][]v1.HandlerName{nil, {"rs"}, {"rs", "debug"}}[w.rnd.IntN(3)]
	default:
		kc.Spec.Config.PayloadImage = w.one("", factstest.PayloadB, payloadC)
	}
	w.Configs.Put(kc, w.Next())
}

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
