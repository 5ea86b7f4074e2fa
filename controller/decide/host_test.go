// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"reflect"
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
)

// What may be wrong with the one broken host of a world, until it is repaired.
const (
	noKVM    = "its proof fails"
	unfit    = "its host check fails"
	dead     = "it is off"
	silent   = "its agent answers nothing"
	notReady = "its kubelet is not Ready"
	degraded = "the machine-config operator has given up on it"
)

// host is a machine with its agent and its pods. The agent follows docs/protocol.md.
type host struct {
	w      *world
	name   string
	pool   string
	broken string

	minor             int    // of its OpenShift
	fetched           string // image that was fetched ahead of time
	boot, paused      int    // paused are rounds without agent
	down              int    // rounds without Ready kubelet, for no fault of ours
	wanted            *node.Intent
	slot, serving     string
	proved            string   // payload that was proved in this boot
	handlers          []string // that were proved with it
	dropIn, knows     bool     // knows is whether CRI-O runs with the drop-in
	work, restarts    int      // rounds until the payload is prepared, until CRI-O is back
	pods, podsAtWrite int      // podsAtWrite is what the last report said
	permit            permit
	labelledByHand    bool
	needsReboot       bool
	older             bool // whether its agent knows no pings
	drains            int  // rounds until what is to be evicted has ended

	document string
	last     node.Report
	read     string // what wanted was read from
	shown    node.Intent
	problem  error
}

// permit is a grant that the controller gave, for as long as it makes the node unavailable.
type permit struct {
	by   string
	boot string
}

func (h *host) bootID() string { return h.name + "-boot-" + strconv.Itoa(h.boot) }

// object is the Node as the API server has it, nil while there is none.
func (h *host) object() *corev1.Node { return h.w.Nodes.Now[h.name] }

func (h *host) labelled() bool { return h.object() != nil && h.object().Labels[node.ReadyLabel] != "" }

// register makes the Node anew: nothing of an earlier one is kept.
func (h *host) register() {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: h.name, UID: h.w.UID(), Annotations: map[string]string{},
		Labels: map[string]string{"node-role.kubernetes.io/worker": "", "pool": h.pool},
	}}
	if h.w.rnd.Likely(30) {
		n.Spec.Taints = []corev1.Taint{{Key: "other"}, {Key: node.StartupTaint}}
	}
	h.labelledByHand, h.pods = false, 0
	h.store(n)
}

// edit is a write of the Node by anybody.
func (h *host) edit(change func(*corev1.Node)) {
	n := h.object().DeepCopy()
	change(n)
	h.store(n)
}

func (h *host) store(n *corev1.Node) {
	ready := corev1.ConditionTrue
	if h.restarts > 0 || h.down > 0 || h.broken == notReady || h.broken == dead {
		ready = corev1.ConditionFalse
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	if h.broken == degraded {
		n.Annotations[node.MachineState] = "Degraded"
	}
	h.says(&n.Status.NodeInfo)
	h.w.Nodes.Put(n, h.w.Next())
}

// heartbeat shows what the kubelet knows, where that has changed.
func (h *host) heartbeat() {
	n := h.object()
	ready := h.restarts == 0 && h.down == 0 && h.broken != notReady && h.broken != dead
	was := n.Status.Conditions[0].Status == corev1.ConditionTrue
	if was != ready || n.Status.NodeInfo.BootID != h.bootID() && h.broken != dead || !h.w.calm && h.w.rnd.Likely(5) {
		h.edit(func(*corev1.Node) {})
	}
}

// reboot keeps what is on disk. CRI-O starts with the drop-in that is there.
func (h *host) reboot() {
	h.boot, h.restarts, h.proved, h.permit = h.boot+1, 0, "", permit{}
	h.needsReboot, h.drains = false, 0
	h.knows = h.dropIn
}

// replace is another machine of the same name.
func (h *host) replace() {
	h.reboot()
	h.fetched = ""
	h.wanted, h.slot, h.serving, h.dropIn, h.knows, h.work, h.read, h.document = nil, "", "", false, false, 2, "", ""
	h.last = node.Report{}
}

// act is one look of the agent, and what happens to its host meanwhile.
func (h *host) act() {
	h.down, h.paused = max(0, h.down-1), max(0, h.paused-1)
	if h.restarts > 0 {
		if h.restarts--; h.restarts == 0 {
			h.knows, h.permit = h.dropIn, permit{}
		}
	}
	if h.object() == nil {
		return
	}
	h.heartbeat()
	if h.broken == dead || h.broken == silent || h.restarts > 0 || h.paused > 0 {
		return
	}
	if h.rebootsItself() {
		return
	}
	report := h.report()
	report.RebootRequired = h.needsReboot && h.wanted != nil && h.wanted.State == node.StateInstalled
	report.Version, report.Speaks, report.BootID, report.Architecture = node.Version, []int{node.Version}, h.bootID(), "amd64"
	if h.broken == unfit {
		report.HostCheck = "the processor has no virtualization"
	}
	if !reflect.DeepEqual(report, h.last) || h.document == "" {
		document, err := report.Encode()
		require.NoError(h.w.t, err)
		h.document, h.last = document, report
	}
	h.podsAtWrite = report.BoundPods.Count
	if h.object().Annotations[node.ReportAnnotation] != h.document {
		h.w.busy = true
		h.edit(func(n *corev1.Node) { n.Annotations[node.ReportAnnotation] = h.document })
	}
}

// report carries out what the intent asks for, as far as one look gets. An intent that vanished
// changes nothing.
func (h *host) report() node.Report {
	document, found := h.object().Annotations[node.IntentAnnotation]
	if found && document != h.read {
		h.read = document
		h.shown, h.problem = node.DecodeIntent(document)
		if h.problem == nil {
			kept := h.shown
			h.wanted = &kept
		}
	}
	r := node.Report{Payload: node.Digest(h.serving)}
	if h.wanted != nil && h.wanted.State == node.StateInstalled && !h.older {
		r.Ping = h.wanted.Ping
	}
	switch {
	case found && h.problem != nil:
		r.Phase, r.IntentID = node.PhaseInstalling, node.IntentID(document)
		r.Error = &node.Error{Step: "read intent", Reason: node.ReasonInvalidIntent, Message: "it cannot be read"}
	case h.wanted == nil:
		r.Phase = node.PhaseIdle
	case h.wanted.State == node.StateAbsent:
		h.remove(found, &r)
	default:
		r.IntentID = h.wanted.ID
		h.install(found, &r)
	}
	return r
}

func (h *host) install(found bool, r *node.Report) {
	payload := h.wanted.Payload
	switch r.Phase = node.PhaseInstalling; {
	case h.serving == payload && h.proved == payload && slices.Equal(h.handlers, h.wanted.Handlers):
		r.Phase, r.Handlers, r.Prefetched = node.PhaseInstalled, h.handlers, node.Digest(h.fetch(found))
	case h.broken == unfit:
	case h.slot != payload:
		if h.work--; h.work <= 0 {
			h.slot, h.work = payload, 2
		}
		h.w.busy = true
	case !h.dropIn:
		h.dropIn, h.w.busy = true, true
	case !h.knows && (!found || h.wanted.Grants.RestartCRIO != h.bootID()):
		r.Phase = node.PhaseAwaitingGrant
	case !h.knows:
		h.restarts, h.w.busy = 2, true
	case h.broken == noKVM || h.w.bad[payload]:
		r.Error = &node.Error{Step: "prove payload", Reason: "ProvePayloadFailed", Message: "the sandbox does not start"}
	default:
		h.serving, h.proved, h.handlers = payload, payload, h.wanted.Handlers
		r.Phase, r.Payload, r.Handlers = node.PhaseInstalled, node.Digest(payload), h.handlers
	}
}

// remove closes the door first: nothing is taken away while a pod may come.
func (h *host) remove(found bool, r *node.Report) {
	r.IntentID = h.wanted.ID
	r.BoundPods.Count = h.pods
	switch installed := h.dropIn || h.serving != "" || h.slot != ""; {
	case !installed && !found:
		h.wanted, h.read = nil, ""
		*r = node.Report{Phase: node.PhaseIdle}
	case !installed:
		r.Phase = node.PhaseAbsent
	case h.pods > 0 || h.labelled():
		r.Phase = node.PhaseBlocked
	default:
		r.Phase, h.w.busy = node.PhaseRemoving, true
		switch {
		case h.serving != "":
			h.serving, h.proved = "", ""
		case h.dropIn:
			h.dropIn = false
		default:
			h.slot, h.work = "", 2
		}
		r.Payload = node.Digest(h.serving)
	}
}
