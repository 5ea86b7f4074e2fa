// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// Accident is something that happens to a node, to an object or to an administrator's mind.
func (w *life) Accident() {
	r := w.any()
	all := []struct {
		what string
		do   func(*resident)
	}{
		{"loses power, or is rebooted by hand", func(r *resident) { r.Disrupted = ""; r.reboots() }},
		{"is relabelled", func(r *resident) { r.Relabels() }},
		{"is cordoned or not any more", func(r *resident) { r.Cordons() }},
		{"has no agent for an hour", w.hour},
		{"has no agent for a while", func(r *resident) { r.Paused = w.IntN(8) }},
		{"has an agent that is killed", (*resident).start},
		{"is not Ready for a while", func(r *resident) { r.Flaps() }},
		{"is cut off from the API server for a while", func(r *resident) { r.Leaves() }},
		{"cannot reach the API server for a while", func(r *resident) { r.away = w.IntN(6) }},
		{"has watches that are behind, or not any more", func(r *resident) { r.lag = w.IntN(4) }},
		{"has watches that end", (*resident).relists},
		{"is deleted or registers", w.remakes},
		{"has a CRI-O that another hand restarts", w.restarts},
		{"has to be rebooted", w.needs},
		{"is worked on by the machine-config operator, or not any more", func(r *resident) { r.Configures() }},
		{"is meddled with", w.meddles},
		{"is meddled with", w.meddles},
		{"sees the class meddled with", func(*resident) { w.MeddlesWithTheClass() }},
		{"sees a KataConfig change", func(*resident) { w.Administers() }},
		{"sees a KataConfig change", func(*resident) { w.Administers() }},
		{"sees a node break", w.breaks},
		{"loses the ledger", func(*resident) { w.LosesLedger() }},
		{"sees the leader's watches end", func(*resident) { w.Leader.Relist() }},
		{"sees policies vanish or come back", func(*resident) { w.Unguarded = !w.Unguarded }},
	}
	chosen := all[w.IntN(len(all))]
	w.Tells("%s %s", r.Name, chosen.what)
	chosen.do(r)
}

// remakes deletes a Node, or registers it again: the same machine, or another one of its name.
func (w *life) remakes(r *resident) {
	if r.Object() != nil {
		r.ends(func(*pod) bool { return true })
		r.Deleted()
		return
	}
	if w.Likely(50) {
		r.machine()
		r.breaks(r.Broken)
	}
	r.Register()
}

// hour lets all agents do nothing for longer than every deadline, and that of the node for a while
// longer. What was used of grants is over. Kubelets beat meanwhile, and no watch is that late.
func (w *life) hour(r *resident) {
	for _, m := range w.Machines {
		x := w.resident(m)
		x.Excuse()
		x.lag = 0
		if x.Object() != nil {
			x.Beat()
		}
	}
	w.Now = w.Now.Add(time.Hour)
	w.Leader.CatchUp()
	r.Paused = w.IntN(8)
}

// restarts is a restart of CRI-O that no grant was given for. The kubelet is restarted with it.
func (w *life) restarts(r *resident) {
	if r.Broken == dead {
		return
	}
	require.NoError(w.T, r.host.Host().Services.Restart(w.T.Context(), r.self.CRIOUnit))
	r.Down, r.Disrupted = 1, ""
}

// needs lets a host be one that has to be rebooted.
func (w *life) needs(r *resident) {
	require.NoError(w.T, r.host.Files.Write(host.RebootRequiredFile, fmt.Appendf(nil, "kernel %d\n", w.Steps), 0o644))
}

func (w *life) breaks(*resident) {
	if w.victim != nil && w.victim.Broken == "" {
		w.victim.breaks(w.fault)
	}
}

// meddles edits what only the controller and the agents may write. The intent is where a grant is
// remembered: whoever destroys it has the unavailability.
func (w *life) meddles(r *resident) {
	if r.Object() == nil {
		return
	}
	r.Disrupted = ""
	r.Edit(func(n *corev1.Node) {
		switch w.IntN(5) {
		case 0:
			delete(n.Annotations, node.IntentAnnotation)
		case 1:
			n.Annotations[node.IntentAnnotation] = w.One("", "{", `{"version":9,"id":"abc"}`)
		case 2:
			delete(n.Labels, node.ReadyLabel)
			r.ByHand = true
		case 3:
			if n.Labels[node.ReadyLabel] == "" {
				n.Labels[node.ReadyLabel], r.ByHand = node.ReadyValue, true
			}
		default:
			n.Annotations[node.ReportAnnotation] = w.One("", `{"version":9}`)
		}
	})
}

// Repair ends what nodes lack, and names no payload that starts nowhere.
func (w *life) Repair() {
	for _, m := range w.Machines {
		r := w.resident(m)
		r.away, r.lag = 0, 0
	}
	for _, name := range decidetest.Names(w.Configs.Now) {
		kc := w.Configs.Now[name].DeepCopy()
		if image := kc.Spec.Config.PayloadImage; image == bad().Reference() || image == lost().Reference() {
			kc.Spec.Config.PayloadImage = newer().Reference()
			kc.Generation++
			w.Configs.Put(kc, w.Next())
		}
	}
}
