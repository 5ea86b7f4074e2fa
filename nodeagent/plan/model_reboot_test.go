// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"

	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// modelReboots is what a reboot is about.
type modelReboots struct {
	// need is what for the host has to be rebooted, rebooted the agent's record.
	need     string
	rebooted record.Rebooted
	// byHand is whether another person wants the Node unschedulable.
	byHand bool
	// vain is what a reboot was for, and has not ended.
	vain string
}

func (m *model) rebootFacts(f *plan.Facts) {
	f.Host.RebootRequired, f.Rebooted = m.need, m.rebooted
	if m.seen == nil {
		return
	}
	f.Cluster.Cordoned, f.Cluster.CordonedIn = m.seen.cordoned, m.seen.mark
	f.Cluster.PodsKnown = f.Cluster.PodsKnown && m.up
	for i := range m.seen.plain {
		f.Cluster.Evictable = append(f.Cluster.Evictable, fmt.Sprintf("plain-%d", i))
	}
	f.Cluster.Evictable = append(f.Cluster.Evictable, f.Cluster.BoundPods...)
}

func (m *model) needReboot() {
	m.need, m.vain = fmt.Sprintf("need-%d", m.random.IntN(3)), ""
	m.note("EVENT %s", m.need)
}

// cordonOrNot is another person, who does not look at who cordoned a Node.
func (m *model) cordonOrNot() {
	m.api.cordoned = !m.api.cordoned
	m.byHand = m.api.cordoned
	if !m.api.cordoned {
		m.api.mark = "" // As after kubectl uncordon, the mark would say of the next cordon that it is ours.
	}
	m.note("EVENT cordoned by hand %v", m.api.cordoned)
}

func (m *model) startPod() {
	if !m.api.cordoned {
		m.api.plain++
		m.note("EVENT a pod is bound")
	}
}

func (m *model) guardOrNotPods() {
	m.api.stuck = !m.api.stuck
	m.note("EVENT evictions are refused %v", m.api.stuck)
}

func (m *model) grantReboot(r *modelReport) {
	if r.reboot && m.api.mayReboot != m.bootID() {
		m.api.mayReboot = m.bootID()
		m.note("the controller grants a reboot of %s", m.bootID())
	}
}

func (m *model) carryOutReboot(s plan.Step) string {
	may := m.api.mayReboot == m.bootID() && m.api.intent != nil
	switch s.Kind {
	case plan.ForgetReboot:
		m.rebooted = record.Rebooted{}
		if m.need != "" {
			return "FORGOTTEN what a reboot has not done"
		}
		return ""
	case plan.RebootNode:
		return m.rebootNode(s.Object)
	}
	if !m.up {
		m.note("  fails: %s", s)
		return ""
	}
	switch s.Kind {
	case plan.Cordon:
		if !m.api.cordoned {
			m.api.cordoned, m.api.mark = true, m.bootID()
		}
		if !may || m.busy {
			return "CORDON without a grant"
		}
	case plan.Uncordon:
		if m.api.mark == "" {
			return "UNCORDON of what another person has cordoned"
		}
		m.api.cordoned, m.api.mark = false, ""
	case plan.Drain:
		if !m.api.cordoned || !may || m.busy {
			return "DRAIN of a node in service"
		}
		if !m.api.stuck {
			m.api.plain = 0
			m.endPods()
		}
	}
	return ""
}

// rebootNode may go wrong in one thing: that it does not help.
func (m *model) rebootNode(why string) string {
	switch {
	case m.api.mayReboot != m.bootID(), m.busy:
		return "REBOOT without a grant"
	case !m.up:
		return "REBOOT of a node that is out of reach"
	case !m.api.cordoned, m.api.plain > 0, len(m.api.pods) > 0:
		return "REBOOT of a node in service"
	case why == m.vain:
		return "REBOOT again for the same"
	}
	needed := m.need
	m.rebooted = record.Rebooted{Boot: m.bootID(), Reason: why}
	if m.random.IntN(4) == 0 {
		return "" // The agent dies before the host has accepted it.
	}
	m.hardReboot()
	if needed == why && m.random.IntN(3) == 0 {
		m.need, m.vain = why, why
		m.note("  the reboot did not help: %s", why)
	}
	return ""
}
