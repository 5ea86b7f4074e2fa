// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"maps"
	"slices"

	"github.com/kata-node/kata-node/nodeagent/plan"
)

// asksForGuest makes the guest of one payload one that the host makes.
func asksForGuest(digit string) bool { return digit == "b" }

// guested reports whether a slot has the guest that its payload asks for.
func (m *model) guested(s *modelSlot) bool {
	return !asksForGuest(s.Image) || s.Guest && m.guests[s.ID]
}

// otherKernels are those on disk that do not run.
func (m *model) otherKernels() []string {
	return slices.DeleteFunc(slices.Clone(m.kernels), func(k string) bool { return k == m.kernel })
}

// buildGuest may fail and leave half a guest, when the power fails.
func (m *model) buildGuest(s plan.Step, slot *modelSlot, half bool) string {
	if slot == nil || slot.Verified == nil || !slot.Verified.Guest {
		return "GUEST of a payload that asks for none"
	}
	if s.Kind == plan.BuildGuest {
		m.guests[s.Slot], slot.Guest = true, true
		return ""
	}
	if !slices.Contains(m.otherKernels(), s.Object) {
		return "GUEST for a kernel that is not on disk"
	}
	m.guests[plan.SlotID(slot.Platform, s.Object, m.settings)] = !half
	return ""
}

func (m *model) deleteGuest(id string) string {
	if slot := m.slots[id]; slot != nil && slot.Mounted {
		return "DELETE of the guest of a slot"
	}
	if m.served != nil && m.served.Slot == id {
		return "DELETE of the guest of what was served last"
	}
	delete(m.guests, id)
	return ""
}

// installKernel installs or removes a kernel that does not run.
func (m *model) installKernel() {
	m.kernels = []string{m.kernel}
	for _, k := range []string{"k0", "k1", "k2"} {
		if k != m.kernel && m.random.IntN(2) == 0 {
			m.kernels = append(m.kernels, k)
		}
	}
	m.note("EVENT kernels on disk %v", m.kernels)
}

func (m *model) deleteGuestByHand() {
	for id := range maps.Keys(m.guests) {
		delete(m.guests, id)
	}
	m.note("EVENT guests deleted by hand")
}

// wrongGuests says which guests are missing on a node at rest, or are too many.
func (m *model) wrongGuests(wanted string) string {
	platform := image(digitOf(wanted)).Platform
	needed := map[string]bool{}
	for _, k := range m.otherKernels() {
		id := plan.SlotID(platform, k, m.settings)
		needed[id] = true
		if asksForGuest(digitOf(wanted)) && !m.guests[id] {
			return "INSTALLED, and without the guest for kernel " + k
		}
	}
	for id := range m.guests {
		if _, kept := m.findings[id]; m.slots[id] == nil && !needed[id] && !kept {
			return "INSTALLED, and keeps a guest that nothing needs"
		}
	}
	return ""
}
