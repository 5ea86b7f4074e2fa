// SPDX-License-Identifier: Apache-2.0

package plan_test

import "github.com/kata-node/kata-node/nodeagent/plan"

// failProof is a proof that CRI-O tries and that does not pass.
func (m *model) failProof(id string) string {
	if !m.crio.active || !m.crio.has || m.crio.foreign {
		return m.prove(id)
	}
	slot := m.slots[id]
	slot.Failed = plan.AfterFailure(slot.Failed, m.invocation(), "no", m.random.IntN(2) == 0)
	m.note("  fails: %v", slot.Failed)
	return ""
}

// compare is the proof of the slot that serves.
func (m *model) compare(s plan.Step, fail bool) string {
	if s.Slot != m.current || s.Slot != m.proof {
		return "COMPARED with what does not serve"
	}
	candidate := m.slots[s.Object]
	if candidate.Failed.Times == 0 {
		return "COMPARED before anything failed"
	}
	if fail {
		candidate.Failed.Control, candidate.Failed.ControlWords = s.Slot, "no"
		return ""
	}
	violated := m.prove(s.Slot)
	if m.slots[s.Slot].Proved == m.invocation() {
		candidate.Failed.Control = s.Slot
	}
	return violated
}
