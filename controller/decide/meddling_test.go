// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
)

// meddles edits what only the controller and the agents may write. The intent is where a grant is
// remembered: whoever destroys it has the unavailability.
func (w *world) meddles(h *host) {
	if h.Object() == nil {
		return
	}
	h.Excuse()
	switch w.IntN(7) {
	case 0:
		h.Edit(func(n *corev1.Node) { delete(n.Annotations, node.IntentAnnotation) })
	case 1:
		h.Edit(func(n *corev1.Node) {
			n.Annotations[node.IntentAnnotation] = w.One("", "{", `{"version":9,"id":"abc"}`)
		})
	case 2:
		h.forge()
	case 3:
		h.Edit(func(n *corev1.Node) { delete(n.Labels, node.ReadyLabel) })
	case 4:
		if !h.Labelled() {
			h.Edit(func(n *corev1.Node) { n.Labels[node.ReadyLabel], h.ByHand = node.ReadyValue, true })
		}
	case 5:
		h.Edit(func(n *corev1.Node) { n.Annotations[node.ReportAnnotation] = w.One("", `{"version":9}`) })
	case 6:
		w.MeddlesWithTheClass()
	}
}

// forge leaves the id of an intent, or makes one that fits to other content.
func (h *host) forge() {
	intent, err := node.DecodeIntent(h.Object().Annotations[node.IntentAnnotation])
	if err != nil {
		return
	}
	switch h.w.IntN(3) {
	case 0:
		intent.State, intent.Payload = node.StateAbsent, ""
	case 1:
		intent = node.Intent{State: node.StateAbsent, Owner: intent.Owner}.Identify(string(h.Object().UID))
	default:
		intent.Grants.RestartCRIO = ""
	}
	document, err := intent.Encode()
	if err == nil {
		h.Edit(func(n *corev1.Node) { n.Annotations[node.IntentAnnotation] = document })
	}
}
