// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"

	"github.com/kata-node/kata-node/api/node"
)

// meddles edits what only the controller and the agents may write. The intent is where a grant is
// remembered: whoever destroys it has the unavailability.
func (w *world) meddles(h *host) {
	if h.object() == nil {
		return
	}
	h.permit = permit{}
	switch w.rnd.IntN(8) {
	case 0:
		h.edit(func(n *corev1.Node) { delete(n.Annotations, node.IntentAnnotation) })
	case 1:
		h.edit(func(n *corev1.Node) {
			n.Annotations[node.IntentAnnotation] = w.rnd.One("", "{", `{"version":9,"id":"abc"}`)
		})
	case 2:
		h.forge()
	case 3:
		h.edit(func(n *corev1.Node) { delete(n.Labels, node.ReadyLabel) })
	case 4:
		if !h.labelled() {
			h.edit(func(n *corev1.Node) { n.Labels[node.ReadyLabel], h.labelledByHand = node.ReadyValue, true })
		}
	case 5:
		h.edit(func(n *corev1.Node) { n.Annotations[node.ReportAnnotation] = w.rnd.One("", `{"version":9}`) })
	case 6:
		if w.Classes.Now[node.RuntimeClass] != nil {
			w.Classes.Remove(node.RuntimeClass)
		}
	case 7:
		w.meddlesWithTheClass()
	}
}

func (w *world) putClass(class *nodev1.RuntimeClass) {
	w.busy = true
	w.Classes.Put(class, w.Next())
}

func (w *world) meddlesWithTheClass() {
	class := w.Classes.Now[node.RuntimeClass]
	if class == nil {
		return
	}
	class = class.DeepCopy()
	if w.rnd.Likely(50) {
		class.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"x": "y"}}
	} else {
		class.Labels = nil // Somebody else's, as it seems.
	}
	w.putClass(class)
}

// forge leaves the id of an intent, or makes one that fits to other content.
func (h *host) forge() {
	intent, err := node.DecodeIntent(h.object().Annotations[node.IntentAnnotation])
	if err != nil {
		return
	}
	switch h.w.rnd.IntN(3) {
	case 0:
		intent.State, intent.Payload = node.StateAbsent, ""
	case 1:
		intent = node.Intent{State: node.StateAbsent, Owner: intent.Owner}.Identify(string(h.object().UID))
	default:
		intent.Grants.RestartCRIO = ""
	}
	document, err := intent.Encode()
	if err == nil {
		h.edit(func(n *corev1.Node) { n.Annotations[node.IntentAnnotation] = document })
	}
}
