// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
)

// accident is something that happens to a node, to an object or to an administrator's mind.
func (w *life) accident() {
	r := w.any()
	all := []struct {
		what string
		do   func(*resident)
	}{
		{"loses power, or is rebooted by hand", func(r *resident) { r.disrupted = ""; r.reboots() }},
		{"is relabelled", w.relabels},
		{"is cordoned or not any more", w.cordons},
		{"has no agent for a while", func(r *resident) { r.paused = w.rnd.IntN(8) }},
		{"has an agent that is killed", (*resident).start},
		{"is not Ready for a while", func(r *resident) { r.down, r.disrupted = w.rnd.IntN(8), "" }},
		{"cannot reach the API server for a while", func(r *resident) { r.away = w.rnd.IntN(6) }},
		{"has watches that are behind, or not any more", func(r *resident) { r.lag = w.rnd.IntN(4) }},
		{"has watches that end", (*resident).relists},
		{"is deleted or registers", w.remakes},
		{"has a CRI-O that another hand restarts", w.restarts},
		{"has to be rebooted", w.needs},
		{"is worked on by the machine-config operator, or not any more", w.configures},
		{"is meddled with", w.meddles},
		{"is meddled with", w.meddles},
		{"sees the class meddled with", w.meddlesWithTheClass},
		{"sees a KataConfig change", w.administers},
		{"sees a KataConfig change", w.administers},
		{"sees a node break", w.breaks},
		{"loses the ledger", w.losesLedger},
		{"sees the leader's watches end", func(*resident) { w.leader.Relist() }},
		{"sees policies vanish or come back", func(*resident) { w.unguarded = !w.unguarded }},
	}
	chosen := all[w.rnd.IntN(len(all))]
	w.tells("%s %s", r.name, chosen.what)
	chosen.do(r)
}

// relabels moves a node out of a KataConfig's selection, or into one again.
func (w *life) relabels(r *resident) {
	r.pool, r.disrupted = w.rnd.One("x", "y", ""), ""
	if r.object() != nil {
		r.edit(func(n *corev1.Node) { n.Labels["pool"] = r.pool })
	}
}

func (w *life) cordons(r *resident) {
	if r.object() != nil {
		r.cordon()
	}
}

// remakes deletes a Node, or registers it again: the same machine, or another one of its name.
func (w *life) remakes(r *resident) {
	if r.object() != nil {
		r.deleted()
		return
	}
	if w.rnd.Likely(50) {
		r.machine()
		r.breaks(r.ailment)
	}
	r.register()
}

// restarts is a restart of CRI-O that no grant was given for. The kubelet is restarted with it.
func (w *life) restarts(r *resident) {
	if r.ailment == dead {
		return
	}
	require.NoError(w.t, r.host.Host().Services.Restart(w.t.Context(), r.self.CRIOUnit))
	r.down, r.disrupted = 1, ""
}

// needs lets a host be one that has to be rebooted.
func (w *life) needs(r *resident) {
	require.NoError(w.t, r.host.Files.Write(host.RebootRequiredFile, fmt.Appendf(nil, "kernel %d\n", w.steps), 0o644))
}

// configures lets the machine-config operator begin or end its work at a node.
func (w *life) configures(r *resident) {
	if r.object() == nil {
		return
	}
	r.edit(func(n *corev1.Node) {
		if node.Busy(n.Annotations) != "" {
			n.Annotations[node.MachineState] = "Done"
			return
		}
		n.Annotations[node.MachineState] = w.rnd.One("Working", "Degraded")
	})
}

func (w *life) breaks(*resident) {
	if w.victim != nil && w.victim.ailment == "" {
		w.victim.breaks(w.fault)
	}
}

// meddles edits what only the controller and the agents may write. The intent is where a grant is
// remembered: whoever destroys it has the unavailability.
func (w *life) meddles(r *resident) {
	if r.object() == nil {
		return
	}
	r.disrupted = ""
	r.edit(func(n *corev1.Node) {
		switch w.rnd.IntN(5) {
		case 0:
			delete(n.Annotations, node.IntentAnnotation)
		case 1:
			n.Annotations[node.IntentAnnotation] = w.rnd.One("", "{", `{"version":9,"id":"abc"}`)
		case 2:
			delete(n.Labels, node.ReadyLabel)
			r.byHand = true
		case 3:
			if n.Labels[node.ReadyLabel] == "" {
				n.Labels[node.ReadyLabel], r.byHand = node.ReadyValue, true
			}
		default:
			n.Annotations[node.ReportAnnotation] = w.rnd.One("", `{"version":9}`)
		}
	})
}

func (w *life) meddlesWithTheClass(*resident) {
	class := w.Classes.Now[node.RuntimeClass]
	if class == nil {
		return
	}
	if w.rnd.Likely(30) {
		w.Classes.Remove(class.Name)
		return
	}
	class = class.DeepCopy()
	if w.rnd.Likely(50) {
		class.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"x": "y"}}
	} else {
		class.Labels = nil // Another owner's, as it seems.
	}
	w.Classes.Put(class, w.Next())
}

// losesLedger deletes or spoils the object, as a person may.
func (w *life) losesLedger(*resident) {
	present, found := w.Ledgers.Now[ledger.Name]
	switch {
	case !found:
	case w.rnd.Likely(70):
		w.Ledgers.Remove(ledger.Name)
	default:
		spoiled := present.DeepCopy()
		spoiled.Data = map[string]string{"n0": "{"}
		w.Ledgers.Put(spoiled, w.Next())
	}
}

// moved ends what is counted as unavailable by a grant: the pools are others now.
func (w *life) moved() {
	for _, r := range w.nodes {
		r.disrupted = ""
	}
}

// repair ends everything that only people can end, except the one broken node.
func (w *life) repair() {
	w.calm, w.unguarded, w.former = true, false, nil
	w.lead()
	for _, r := range w.nodes {
		r.down, r.paused, r.away, r.lag = 0, 0, 0, 0
		if r.object() == nil {
			r.register()
		}
		r.edit(func(n *corev1.Node) {
			n.Spec.Unschedulable = false
			delete(n.Annotations, node.MachineState)
		})
	}
	for _, name := range decidetest.Names(w.Configs.Now) {
		kc := w.Configs.Now[name].DeepCopy()
		kc.Spec.Config.Paused = false
		if image := kc.Spec.Config.PayloadImage; image == bad().Reference() || image == lost().Reference() {
			kc.Spec.Config.PayloadImage = newer().Reference()
		}
		kc.Generation++
		w.Configs.Put(kc, w.Next())
	}
	if class := w.Classes.Now[node.RuntimeClass]; class != nil && class.Labels == nil {
		w.Classes.Remove(node.RuntimeClass)
	}
}
