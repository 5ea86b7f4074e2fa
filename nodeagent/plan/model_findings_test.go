// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// modelFindings is what was kept of slots, and what it depends on.
type modelFindings struct {
	findings map[string]record.Findings
	// written counts how often the files of a payload were written, by digit. It is what identifies
	// them.
	written map[string]int
	// build is the agent's program.
	build int
}

func newModelFindings() modelFindings {
	return modelFindings{findings: map[string]record.Findings{}, written: map[string]int{}}
}

func (m *model) buildID() string { return "v" + strconv.Itoa(m.build) }

func (m *model) identity(digit string) string { return fmt.Sprint(digit, m.written[digit]) }

// rendered is the part of the host that proofs depend on.
func (m *model) rendered() string {
	return fmt.Sprint(m.packagesFacts().QEMU, m.system.booted, m.system.live)
}

func (m *model) allFindings() []record.Findings {
	var all []record.Findings
	for _, id := range slices.Sorted(maps.Keys(m.findings)) {
		all = append(all, m.findings[id])
	}
	return all
}

func (m *model) carryOutFindings(s plan.Step, slot *modelSlot, fail bool) string {
	switch s.Kind {
	case plan.KeepFindings:
		if slot == nil || !slot.Mounted || slot.Verified == nil || slot.Proved == "" {
			return "KEEP of what was not found out"
		}
		found := record.Findings{
			Slot: s.Slot, Boot: m.bootID(), Build: m.buildID(), Origin: slot.Origin, Verified: *slot.Verified,
			Proved: record.Proved{Invocation: slot.Proved, Handlers: slot.ProvedHandlers, Rendered: slot.rendered},
		}
		if slot.Guest {
			found.Guest = &record.Guest{}
		}
		m.findings[s.Slot] = found
	case plan.DropFindings:
		delete(m.findings, s.Slot)
	case plan.VerifyAgain:
		return m.verifyAgain(s, slot, fail)
	default:
		return m.resume(s, fail)
	}
	return ""
}

// resume may end after the mount.
func (m *model) resume(s plan.Step, half bool) string {
	found, kept := m.findings[s.Slot]
	if !kept {
		return "RESUME of what was not kept"
	}
	if found.Boot != m.bootID() || found.Build != m.buildID() || found.Proved.Invocation != m.invocation() {
		return "RESUME with what another boot, CRI-O or agent has found"
	}
	if violated := m.mount(s); violated != "" || half {
		return violated
	}
	slot := m.slots[s.Slot]
	if slot == nil || !slot.Mounted {
		return ""
	}
	if found.Verified.Identity != m.identity(slot.Image) {
		m.note("  files have changed: %s", s)
		delete(m.findings, s.Slot)
		return ""
	}
	verified := found.Verified
	verified.Resumed = true
	slot.Verified = &verified
	if verified.Guest && (found.Guest == nil || !m.guests[s.Slot]) || verified.Needs.QEMU && m.packagesFacts().QEMU == "" {
		return ""
	}
	slot.Guest, slot.Configured, slot.Partial = verified.Guest, true, false
	if found.Proved.Rendered == m.rendered() {
		slot.Proved, slot.ProvedHandlers, slot.rendered = found.Proved.Invocation, found.Proved.Handlers, found.Proved.Rendered
	}
	return ""
}

func (m *model) verifyAgain(s plan.Step, slot *modelSlot, mismatch bool) string {
	switch {
	case slot == nil, !slot.Mounted, slot.Verified == nil:
		return "VERIFY AGAIN of what was not verified"
	case slot.intact && !mismatch:
		verified := *slot.Verified
		verified.Resumed, verified.Identity = false, m.identity(slot.Image)
		slot.Verified = &verified
		return ""
	}
	m.note("  mismatch: %s", s)
	delete(m.findings, s.Slot)
	slot.Verified, slot.Guest, slot.Proved, slot.ProvedHandlers, slot.Failed = nil, false, "", nil, record.Failed{}
	return ""
}

// pulled are files that are made anew.
func (m *model) pulled(digit string) {
	m.store, m.images[digit] = true, true
	m.written[digit]++
}

// rot damages a payload that is not mounted. A disk that does it shows nothing of it; who writes to
// a file does.
func (m *model) rot() {
	for _, digit := range slices.Sorted(maps.Keys(m.images)) {
		mounted := slices.ContainsFunc(m.slotsOf(), func(s *modelSlot) bool { return s.Mounted && s.Image == digit })
		if mounted {
			continue
		}
		m.images[digit] = false
		written := m.random.IntN(2) == 0
		if written {
			m.written[digit]++
		}
		m.note("EVENT payload %s is damaged, by a write %v", digit, written)
		return
	}
}

// maybeReturn names a payload once the node has got to the last one, and now and then lets
// something happen to what was kept of the former one.
func (m *model) maybeReturn() {
	f := m.facts()
	p := plan.For(f)
	switch {
	case m.random.IntN(12) == 0:
		events := []func(){
			m.rot, m.rot, m.rot, m.restartCRIO, m.changeSettings, m.softReboot, m.hardReboot, m.updateAgent, m.deleteGuestByHand, m.startPod, m.endPod, m.unmountByHand, m.layerByHand,
		}
		events[m.random.IntN(len(events))]()
	case !m.crio.active:
		m.startCRIO()
	case p.Phase == node.PhaseInstalled && len(p.Tidy) == 0, p.Problem != nil, m.api.intent == nil:
		digit := string("ab"[m.random.IntN(2)])
		m.want(serving(digit, m.someHandlers()...))
		m.note("EVENT intent installs %s", digit)
	case p.Phase == node.PhaseAwaitingGrant:
		m.control()
	}
}

// leaveDamaged is a person who deletes the pods that keep a damaged payload mounted.
func (m *model) leaveDamaged() {
	for _, slot := range m.slotsOf() {
		if !slot.intact && slot.Verified == nil && slot.sandboxes > 0 {
			m.note("REST pods of damaged %s are deleted", slot.ID)
			m.endPods()
			return
		}
	}
}
