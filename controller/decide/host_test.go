// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
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
	decidetest.Host

	w *world

	minor          int    // of its OpenShift
	fetched        string // image that was fetched ahead of time
	boot           int
	wanted         *node.Intent
	slot, serving  string
	proved         string   // payload that was proved in this boot
	handlers       []string // that were proved with it
	dropIn, knows  bool     // knows is whether CRI-O runs with the drop-in
	work, restarts int      // rounds until the payload is prepared, until CRI-O is back
	pods, strays   int      // strays are pods that a label of another hand has drawn
	needsReboot    bool
	tired          bool // whether its agent ends when it gets a grant
	older          bool // whether its agent knows no pings
	drains         int  // rounds until what is to be evicted has ended

	document string
	last     node.Report
	read     string // what wanted was read from
	shown    node.Intent
	problem  error
	decoded  struct {
		document string
		intent   node.Intent
		err      error
	}
}

func (h *host) bootID() string { return h.Name + "-boot-" + strconv.Itoa(h.boot) }

// Bound is how many kata pods the controller's label has drawn.
func (h *host) Bound() int { return h.pods - h.strays }

// Serving is what the agent serves.
func (h *host) Serving() string { return h.serving }

// Left is what of an installation is there.
func (h *host) Left() string {
	switch {
	case h.dropIn:
		return "drop-in"
	case h.slot != "":
		return "slot of " + h.slot
	default:
		return h.serving
	}
}

func (h *host) String() string { return fmt.Sprintf("boot %d, CRI-O knows %v", h.boot, h.knows) }

// Shows is what the kubelet says of itself.
func (h *host) Shows(n *corev1.Node) {
	ready := corev1.ConditionTrue
	if h.restarts > 0 || h.Down > 0 || h.Broken == notReady || h.Broken == dead {
		ready = corev1.ConditionFalse
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	if h.Broken == degraded {
		n.Annotations[node.MachineState] = "Degraded"
	}
	h.says(&n.Status.NodeInfo)
}

// heartbeat shows what the kubelet knows, where that has changed.
func (h *host) heartbeat() {
	n := h.Object()
	ready := h.restarts == 0 && h.Down == 0 && h.Broken != notReady && h.Broken != dead
	if decidetest.IsReady(n) != ready || n.Status.NodeInfo.BootID != h.bootID() && h.Broken != dead || !h.w.Calm && h.w.Likely(5) {
		h.Beat()
	}
}

// reboot keeps what is on disk. CRI-O starts with the drop-in that is there.
func (h *host) reboot() {
	h.boot, h.restarts, h.proved = h.boot+1, 0, ""
	h.Excuse()
	h.needsReboot, h.drains = false, 0
	h.knows = h.dropIn
}

// leaves keeps the unavailability of a restart that is under way.
func (h *host) leaves() {
	disrupted := h.Disrupted
	h.Leaves()
	if h.restarts > 0 {
		h.Disrupted, h.Owed = disrupted, ""
	}
}

// replace is another machine of the same name.
func (h *host) replace() {
	h.reboot()
	h.fetched = ""
	h.wanted, h.slot, h.serving, h.dropIn, h.knows, h.work, h.read, h.document = nil, "", "", false, false, 2, "", ""
	h.last = node.Report{}
}

// Act is one observation of the agent, and what becomes of pods.
func (h *host) Act() {
	h.observes()
	h.schedules()
}

// schedules binds a pod wherever the class draws one, and lets others end.
func (h *host) schedules() {
	w := h.w
	if !w.Calm && w.Likely(30) && h.Draws() {
		h.pods++
		switch {
		case h.ByHand:
			h.strays++
		case h.serving == "":
			w.Fails("a pod is bound to %s, where nothing serves it", h.Name)
		}
	}
	if h.pods > 0 && (w.Calm || w.Likely(50)) {
		h.pods--
		h.strays = min(h.strays, h.pods)
	}
}

// observes is one observation of the agent, and what happens to its host meanwhile.
func (h *host) observes() {
	h.Down, h.Paused = max(0, h.Down-1), max(0, h.Paused-1)
	if h.restarts > 0 {
		if h.restarts--; h.restarts == 0 {
			h.knows, h.Disrupted = h.dropIn, ""
		}
	}
	if h.Object() == nil {
		return
	}
	h.heartbeat()
	if h.Broken == dead || h.Broken == silent || h.restarts > 0 || h.Paused > 0 {
		return
	}
	if h.rebootsItself() {
		return
	}
	report := h.report()
	report.RebootRequired = h.needsReboot && h.wanted != nil && h.wanted.State == node.StateInstalled
	report.Version, report.Speaks, report.BootID, report.Architecture = node.Version, []int{node.Version}, h.bootID(), "amd64"
	if h.Broken == unfit {
		report.HostCheck = "the processor has no virtualization"
	}
	if !reflect.DeepEqual(report, h.last) || h.document == "" {
		document, err := report.Encode()
		require.NoError(h.w.T, err)
		h.document, h.last = document, report
	}
	h.Reported = report.BoundPods.Count
	if h.Object().Annotations[node.ReportAnnotation] != h.document {
		h.w.Busy = true
		h.Edit(func(n *corev1.Node) { n.Annotations[node.ReportAnnotation] = h.document })
	}
}

// report carries out what the intent asks for, as far as one look gets. An intent that vanished
// changes nothing.
func (h *host) report() node.Report {
	document, found := h.Object().Annotations[node.IntentAnnotation]
	if found && document != h.read {
		h.read = document
		if h.shown, h.problem = h.intent(document); h.problem == nil {
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

// intent decodes a document, unless it is the one that was decoded last.
func (h *host) intent(document string) (node.Intent, error) {
	if document != h.decoded.document {
		h.decoded.document = document
		h.decoded.intent, h.decoded.err = node.DecodeIntent(document)
	}
	return h.decoded.intent, h.decoded.err
}

func (h *host) install(found bool, r *node.Report) {
	payload := h.wanted.Payload
	switch r.Phase = node.PhaseInstalling; {
	case h.serving == payload && h.proved == payload && slices.Equal(h.handlers, h.wanted.Handlers):
		r.Phase, r.Handlers, r.Prefetched = node.PhaseInstalled, h.handlers, node.Digest(h.fetch(found))
	case h.Broken == unfit:
	case h.slot != payload:
		if h.work--; h.work <= 0 {
			h.slot, h.work = payload, 2
		}
		h.w.Busy = true
	case !h.dropIn:
		h.dropIn, h.w.Busy = true, true
	case !h.knows && (!found || h.wanted.Grants.RestartCRIO != h.bootID()):
		r.Phase = node.PhaseAwaitingGrant
	case !h.knows:
		h.restarts, h.w.Busy = 2, true
		h.Uses()
	case h.Broken == noKVM || h.w.bad[payload]:
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
	case h.pods > 0 || h.Labelled():
		r.Phase = node.PhaseBlocked
	default:
		r.Phase, h.w.Busy = node.PhaseRemoving, true
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
