// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
)

// rebootsItself drains the node under a grant, reboots it, and makes it schedulable again where its
// agent had cordoned it. It reports whether the host is on its way down.
func (h *host) rebootsItself() bool {
	n := h.Object()
	mark, marked := n.Annotations[node.CordonAnnotation]
	intent, err := h.intent(n.Annotations[node.IntentAnnotation])
	may := err == nil && h.needsReboot && intent.State == node.StateInstalled && intent.Grants.Reboot == h.bootID()
	if may {
		h.Uses()
	}
	switch {
	case !may && marked:
		h.w.Busy = true
		h.Edit(func(n *corev1.Node) { delete(n.Annotations, node.CordonAnnotation); n.Spec.Unschedulable = false })
		if mark != h.bootID() || !h.needsReboot {
			h.Disrupted = ""
		}
	case may && !n.Spec.Unschedulable:
		h.w.Busy = true
		h.drains = h.w.IntN(4)
		h.Edit(func(n *corev1.Node) { n.Annotations[node.CordonAnnotation], n.Spec.Unschedulable = h.bootID(), true })
	case may && h.drains > 0:
		h.drains--
		h.w.Busy = true
		h.pods, h.strays = 0, 0
	case may:
		given := h.Disrupted
		h.reboot()
		h.w.Busy = true
		h.w.Tells("%s reboots under its grant", h.Name)
		if marked {
			h.Disrupted = given
		}
		h.Down = h.w.IntN(3)
		return true
	}
	return false
}
