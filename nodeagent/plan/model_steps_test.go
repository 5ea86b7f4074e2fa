// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"maps"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// halfway are steps that leave something where they fail, or where the agent dies in them.
func halfway(k plan.Kind) bool {
	return slices.Contains([]plan.Kind{plan.Verify, plan.VerifyAgain, plan.Resume, plan.RestartCRIO, plan.BuildAhead, plan.Prove, plan.Control, plan.Clear}, k)
}

// carryOut is what a step does to the model. It returns the invariant that the step violates, or
// nothing.
func (m *model) carryOut(s plan.Step, f plan.Facts, fail bool) string {
	if fail && !halfway(s.Kind) {
		m.note("  fails: %s", s)
		return ""
	}
	if m.crio.loops && slices.Contains([]plan.Kind{plan.Prove, plan.Control, plan.RestartCRIO, plan.RemoveSandbox, plan.Reclaim, plan.StartDependents}, s.Kind) {
		return "ASKED something of a CRI-O that ends again and again"
	}
	switch s.Kind {
	case plan.Keep:
		kept := *f.Intent.Wanted
		kept.Grants = node.Grants{}
		m.kept = &kept
	case plan.Forget:
		m.kept = nil
	case plan.Pull:
		m.pulled(digitOf(s.Payload))
	case plan.Prefetch:
		return m.prefetch(s, f)
	case plan.LayerPackages:
		return m.layer(s, f)
	case plan.UnlayerPackages:
		return m.unlayer(f)
	case plan.WriteDropIn:
		m.dropIn = plan.DropIn{Exists: true, Right: true}
		return m.named()
	case plan.LoadModules:
		return m.loadModules(f)
	case plan.RestartCRIO:
		return m.restart(f, fail)
	case plan.ConfirmNode:
		if before := m.restarted.Before; !m.kubelet.Ready || m.kubelet.Resources[device] < before.Resources[device] {
			return "CONFIRMED a node without what it had"
		}
		m.restarted.Before = nil
	case plan.StartDependents:
		m.restarted.Dependents = nil
	case plan.Record:
		next := m.served.Next(s.Payload, s.Slot)
		m.served = &next
	case plan.Withdraw:
		m.served = nil
		return m.unneeded("WITHDRAWN")
	case plan.RemoveDropIn:
		m.dropIn = plan.DropIn{}
		if m.conflict == "default_runtime" {
			return "DROP-IN removed under a default runtime"
		}
		return m.unneeded("DROP-IN removed")
	case plan.DeleteImage:
		for id, slot := range m.slots {
			if slot.Image == s.Object && slot.Mounted {
				return "DELETE of the mounted image of " + id
			}
		}
		if w := f.Intent.Wanted; w != nil && w.Prefetch != "" && digitOf(w.Prefetch) == s.Object && w.State == node.StateInstalled {
			return "DELETE of what was fetched ahead of time"
		}
		delete(m.images, s.Object)
	case plan.DeleteGuest:
		return m.deleteGuest(s.Object)
	case plan.RemoveSandbox:
		return "REMOVED a ready sandbox"
	case plan.Clear:
		for id, slot := range m.slots {
			if slot.Mounted {
				return "CLEAR with a mount of " + id
			}
		}
		m.clear(fail)
	case plan.Cordon, plan.Drain, plan.RebootNode, plan.Uncordon, plan.ForgetReboot:
		return m.carryOutReboot(s)
	default:
		return m.carryOutOnSlot(s, fail)
	}
	return ""
}

func (m *model) carryOutOnSlot(s plan.Step, fail bool) string {
	slot := m.slots[s.Slot]
	switch s.Kind {
	case plan.Mount:
		return m.mount(s)
	case plan.Verify:
		return m.verify(s, slot, fail)
	case plan.Resume, plan.VerifyAgain, plan.KeepFindings, plan.DropFindings:
		return m.carryOutFindings(s, slot, fail)
	case plan.BuildGuest, plan.BuildAhead:
		return m.buildGuest(s, slot, fail)
	case plan.Configure:
		if slot == nil || slot.Verified == nil {
			return "CONFIGURE of unverified bytes"
		}
		if !m.guested(slot) {
			return "CONFIGURE without a guest"
		}
		if slot.Verified.Needs.QEMU && m.packagesFacts().QEMU == "" {
			return "CONFIGURE without the program that it names"
		}
		slot.Configured, slot.Partial = true, false
	case plan.PointProof:
		if violated := m.pointable(s.Slot); violated != "" {
			return "PROOF " + violated
		}
		m.proof = s.Slot
		return m.named()
	case plan.PointCurrent:
		return m.pointCurrent(s.Slot)
	case plan.Prove:
		switch {
		case fail && s.Object != "":
			m.note("  fails: %s", s)
			return ""
		case fail:
			return m.failProof(s.Slot)
		case s.Object != "":
			return m.proveFurther(s)
		}
		return m.prove(s.Slot)
	case plan.Control:
		return m.compare(s, fail)
	case plan.Unmount:
		switch {
		case slot != nil && slot.sandboxes > 0:
			return "UNMOUNT of a held slot"
		case s.Slot == m.current, s.Slot == m.proof:
			return "UNMOUNT of a linked slot"
		}
		delete(m.slots, s.Slot)
	default:
		return "UNKNOWN step"
	}
	return ""
}

// clear deletes the store, which makes room, and then the records, unless the agent dies between.
func (m *model) clear(half bool) {
	m.store, m.images, m.guests, m.full = false, map[string]bool{}, map[string]bool{}, false
	if half {
		m.note("  dies after the store")
		return
	}
	m.served, m.restarted, m.lacks, m.lacksFurther, m.used, m.modules = nil, record.Restarted{}, "", "", 0, false
	m.rebooted, m.vain, m.findings = record.Rebooted{}, "", map[string]record.Findings{}
}

func (m *model) loadModules(f plan.Facts) string {
	needed := false
	for _, digit := range []string{wantedDigit(f), servedDigit(m)} {
		needed = needed || startsVMs(digit)
	}
	if !m.lacking || !needed {
		return "LOADED modules that nothing needs"
	}
	m.lacking, m.modules = false, true
	return ""
}

func wantedDigit(f plan.Facts) string {
	if f.Intent.Wanted == nil || f.Intent.Wanted.Payload == "" {
		return ""
	}
	return digitOf(f.Intent.Wanted.Payload)
}

func (m *model) mount(s plan.Step) string {
	if s.Slot == "" {
		return "MOUNT of no slot"
	}
	digit := digitOf(s.Payload)
	intact, here := m.images[digit]
	if !here || m.broken {
		return ""
	}
	slot := m.slots[s.Slot]
	if slot == nil {
		slot = &modelSlot{Slot: plan.Slot{ID: s.Slot}}
		m.slots[s.Slot] = slot
	}
	slot.Origin = record.Origin{Payload: s.Payload, Image: digit, Platform: node.Digest(s.Payload)}
	if !slot.Mounted {
		slot.Verified, slot.Guest, slot.Proved, slot.ProvedHandlers, slot.Failed = nil, false, "", nil, record.Failed{}
	}
	slot.Mounted, slot.intact = true, intact
	return ""
}

func (m *model) verify(s plan.Step, slot *modelSlot, mismatch bool) string {
	if slot == nil || !slot.Mounted {
		return "VERIFY of nothing"
	}
	digit := digitOf(s.Payload)
	if slot.intact && !mismatch {
		slot.Verified = &record.Verified{
			Architecture: architecture(digit), HandlerType: "vm", Handlers: offers(digit), ShimCompatibility: compatibility(digit), Guest: asksForGuest(digit), VM: startsVMs(digit),
		}
		slot.Verified.Needs, slot.Verified.Packages = needs(digit)
		slot.Verified.Identity = m.identity(digit)
		return ""
	}
	m.note("  mismatch: %s", s)
	if slot.sandboxes == 0 {
		delete(m.slots, s.Slot)
		delete(m.images, slot.Image)
	}
	return ""
}

func (m *model) prove(id string) string {
	if !m.crio.active {
		return "PROOF without CRI-O"
	}
	if !m.crio.has || m.crio.foreign {
		m.lacks = m.invocation()
		m.note("  unknown handler")
		return ""
	}
	if m.weak && startsVMs(m.slots[id].Image) {
		return "PROOF of what this host cannot run"
	}
	m.slots[id].rendered = m.rendered()
	m.slots[id].Proved, m.slots[id].ProvedHandlers, m.lacks, m.lacksFurther, m.proved[id] = m.invocation(), nil, "", "", true
	return ""
}

// pointable says why no link may lead to a slot.
func (m *model) pointable(id string) string {
	slot := m.slots[id]
	switch {
	case id == plan.Pending:
	case slot == nil, !slot.Mounted, slot.Verified == nil, !slot.Configured, !m.guested(slot):
		return "to an unready slot"
	case !slot.intact && !slot.Verified.Resumed: // What is resumed is verified while it serves.
		return "to unverified content"
	case architecture(slot.Image) != "amd64":
		return "to an unfit payload"
	}
	return ""
}

// named is about the files that the drop-in names.
func (m *model) named() string {
	for _, link := range []string{m.current, m.proof} {
		if slot := m.slots[link]; m.dropIn.Right && slot != nil && slot.Mounted && slot.Partial {
			return "DROP-IN names what " + link + " does not have"
		}
	}
	return ""
}

func (m *model) pointCurrent(id string) string {
	before := m.slots[m.current]
	if id == plan.Pending {
		healthy := before != nil && before.Mounted && before.Verified != nil && before.Configured && m.guested(before)
		m.current = id
		if healthy {
			return m.unneeded("CURRENT pointed away")
		}
		return ""
	}
	if violated := m.pointable(id); violated != "" {
		return "CURRENT " + violated
	}
	if !m.proved[id] {
		return "CURRENT to a slot that was never proved"
	}
	for other, slot := range m.slots {
		if other != id && slot.sandboxes > 0 && compatibility(slot.Image) != compatibility(m.slots[id].Image) {
			return "CURRENT to a shim that cannot reach running sandboxes"
		}
	}
	m.current = id
	return m.named()
}

func (m *model) restart(f plan.Facts, fail bool) string {
	switch {
	case !m.seen.granted:
		return "RESTART without a grant"
	case m.refused:
		return "RESTART into a configuration that is refused"
	case m.busy:
		return "RESTART of a busy node"
	case m.crio.has && !m.crio.foreign && !m.lacksWanted(f):
		return "RESTART of a CRI-O that has the handlers"
	}
	m.restarted = record.Restarted{Intent: f.Intent.Wanted.ID, Invocation: m.invocation(), Before: f.Before()}
	if fail {
		m.note("  fails: restart")
		return ""
	}
	if m.used++; m.used > 1 {
		return "GRANT used twice"
	}
	m.startCRIO()
	return ""
}

func (m *model) startCRIO() {
	m.crio.starts++
	m.crio.loops = false
	m.crio.active = !m.refused && (m.conflict != "default_runtime" || m.dropIn.Exists)
	m.crio.answers = m.crio.active
	m.crio.has = m.dropIn.Exists && m.dropIn.Right && m.resolves(m.current) && m.resolves(m.proof)
	m.crio.foreign, m.older = m.conflict != "", false
	m.say(false, 0)
	m.note("  CRI-O starts: active %v, has %v, current %s, proof %s", m.crio.active, m.crio.has, m.current, m.proof)
}

func (m *model) unneeded(what string) string {
	if m.needed() {
		return what + " while it is needed"
	}
	return ""
}

// slotsOf returns the slots in the order of their ids: a seed is always the same world.
func (m *model) slotsOf() []*modelSlot {
	var all []*modelSlot
	for _, id := range slices.Sorted(maps.Keys(m.slots)) {
		all = append(all, m.slots[id])
	}
	return all
}
