// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
)

// needs lets a host be one that has to be rebooted.
func (w *world) needs(h *host) { h.needsReboot = true }

// rebootsItself drains the node under a grant, reboots it, and makes it schedulable again where its
// agent had cordoned it. It reports whether the host is on its way down.
func (h *host) rebootsItself() bool {
	n := h.object()
	mark, marked := n.Annotations[node.CordonAnnotation]
	intent, err := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
	may := err == nil && h.needsReboot && intent.State == node.StateInstalled && intent.Grants.Reboot == h.bootID()
	switch {
	case !may && marked:
		h.w.busy = true
		h.edit(func(n *corev1.Node) { delete(n.Annotations, node.CordonAnnotation); n.Spec.Unschedulable = false })
		if mark != h.bootID() || !h.needsReboot {
			h.permit = permit{}
		}
	case may && !n.Spec.Unschedulable:
		h.w.busy = true
		h.drains = h.w.rnd.IntN(4)
		h.edit(func(n *corev1.Node) { n.Annotations[node.CordonAnnotation], n.Spec.Unschedulable = h.bootID(), true })
	case may && h.drains > 0:
		h.drains--
		h.w.busy = true
		h.pods = 0
	case may:
		given := h.permit
		h.reboot()
		h.w.busy = true
		h.w.tells("%s reboots under its grant", h.name)
		if given.by != "" && marked {
			given.boot = h.bootID()
			h.permit = given
		}
		h.down = h.w.rnd.IntN(3)
		return true
	}
	return false
}
