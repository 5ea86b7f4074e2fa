// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/rollout"
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

// rebootsWithinBudget counts everything that is unavailable, by what the decision was made from.
func (w *world) rebootsWithinBudget(d decide.Decision, seen decide.Seen) {
	granted := map[string]bool{}
	for _, c := range d.Changes {
		granted[c.Node.Name] = c.Event == rollout.EventReboot
	}
	for _, p := range w.divide(seen.Configs, seen).Pools {
		unavailable, more := 0, 0
		for _, m := range p.Members {
			switch {
			case !m.Available(), w.underway(m.Node):
				unavailable++
			case granted[m.Name]:
				more++
			}
		}
		if more > 0 && unavailable+more > rollout.Budget(p) {
			w.fails("%s lets %d nodes reboot while %d are unavailable, and may have %d", p.Config.Name, more, unavailable, rollout.Budget(p))
		}
	}
}

// underway is true for a grant of this boot that was given not long ago.
func (w *world) underway(n facts.Node) bool {
	return n.Answered() && n.Report.RebootRequired && n.Intent.Grants.Reboot == n.Report.BootID && w.now.Sub(n.Since) < w.settings().ProgressDeadline
}
