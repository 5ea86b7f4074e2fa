// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
)

// What may be wrong with a host for as long as the faults last.
const (
	noKVM    = "its proof fails"
	dead     = "it is off"
	silent   = "its agent answers nothing"
	notReady = "its kubelet is not Ready"
)

// host is a node with its agent and its pods. The agent follows docs/protocol.md.
type host struct {
	w              *world
	name           string
	stored, cached *corev1.Node
	broken         string

	boot     int
	knows    bool // whether CRI-O knows the handler
	serving  string
	work     int // rounds until the payload is prepared
	restarts int // rounds until CRI-O is back
	pods     int
}

func newHost(w *world, name string) *host {
	h := &host{w: w, name: name, work: 2}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: named(name), Labels: map[string]string{"node-role.kubernetes.io/worker": ""}, Annotations: map[string]string{},
	}}
	h.store(n)
	h.cached = h.stored.DeepCopy()
	return h
}

func (h *host) bootID() string { return h.name + "-" + string(rune('a'+h.boot)) }

// store is a write of the Node by anybody.
func (h *host) store(n *corev1.Node) {
	ready := corev1.ConditionTrue
	if h.restarts > 0 || h.broken == notReady || h.broken == dead {
		ready = corev1.ConditionFalse
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	n.Status.NodeInfo.BootID = h.bootID()
	n.ResourceVersion = h.w.next()
	h.stored = n
}

func (h *host) labelled() bool { return h.stored.Labels[node.ReadyLabel] != "" }

func (h *host) reported() node.Report {
	r, err := node.DecodeReport(h.stored.Annotations[node.ReportAnnotation])
	if err != nil {
		return node.Report{}
	}
	return r
}

// schedule binds a pod wherever the class draws one, and lets others end.
func (h *host) schedule() {
	if h.w.class != nil && h.labelled() && h.w.class.Scheduling.NodeSelector[node.ReadyLabel] != "" && !h.w.calm && h.w.likely(30) {
		h.pods++
	}
	if h.pods > 0 && (h.w.calm || h.w.likely(50)) {
		h.pods--
	}
}

// act is one look of the agent, and what happens to its host meanwhile.
func (h *host) act() {
	if !h.w.calm && h.w.likely(2) {
		h.boot, h.restarts, h.work, h.pods = (h.boot+1)%20, 0, 2, 0
		h.knows = h.serving != ""
	}
	if h.restarts > 0 {
		h.restarts--
		if h.restarts == 0 {
			h.knows = true
		}
	}
	n := h.stored.DeepCopy()
	if h.broken == dead || h.broken == silent || h.restarts > 0 || !h.w.calm && h.w.likely(10) {
		h.store(n)
		return
	}
	report := h.report()
	report.Version, report.Speaks, report.BootID, report.Architecture = node.Version, []int{node.Version}, h.bootID(), "amd64"
	document, err := report.Encode()
	require.NoError(h.w.t, err)
	n.Annotations[node.ReportAnnotation] = document
	h.store(n)
}

// report carries out what the intent asks for, as far as one look gets.
func (h *host) report() node.Report {
	document, found := h.stored.Annotations[node.IntentAnnotation]
	if !found {
		r := node.Report{Phase: node.PhaseIdle}
		if h.serving != "" {
			r.Phase, r.Payload = node.PhaseInstalled, node.Digest(h.serving)
		}
		return r
	}
	intent, err := node.DecodeIntent(document)
	require.NoError(h.w.t, err)
	r := node.Report{IntentID: intent.ID, Payload: node.Digest(h.serving)}
	if intent.State == node.StateAbsent {
		r.Phase = h.remove()
		r.BoundPods.Count = h.pods
		r.Payload = node.Digest(h.serving)
		return r
	}
	h.install(intent, &r)
	return r
}

func (h *host) install(intent node.Intent, r *node.Report) {
	switch r.Phase = node.PhaseInstalling; {
	case h.serving == intent.Payload:
		r.Phase = node.PhaseInstalled
	case h.work > 0:
		h.work--
	case !h.knows && intent.Grants.RestartCRIO != h.bootID():
		r.Phase = node.PhaseAwaitingGrant
	case !h.knows:
		h.restarts = 2
	case h.broken == noKVM:
		r.Error = &node.Error{Step: "prove payload", Reason: "ProvePayloadFailed", Message: "no /dev/kvm", Since: h.w.now}
	default:
		h.serving, h.work = intent.Payload, 2
		r.Phase, r.Payload = node.PhaseInstalled, node.Digest(h.serving)
	}
}

// remove closes the door first: nothing is taken away while the label draws pods.
func (h *host) remove() node.Phase {
	switch {
	case h.pods > 0:
		return node.PhaseBlocked
	case h.labelled():
		return node.PhaseRemoving
	default:
		h.serving, h.work = "", 2
		return node.PhaseAbsent
	}
}
