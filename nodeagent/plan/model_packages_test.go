// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// foreignPackage is layered by another hand, and stays.
const foreignPackage = "strace-6-1.x86_64"

// modelSystem is rpm-ostree and the packages of its deployments.
type modelSystem struct {
	// booted and next are full names of packages. While nothing is pending they are the same.
	booted, next []string
	pending      bool
	// live is whether the running system has what is next.
	live bool
	// others is whether another's transaction runs, locked whether what is pending is a locked
	// update of another.
	others, locked bool
	record         *record.Layered
	// lost counts how often in a row another hand has discarded what was pending.
	lost int
}

// needs is what a payload leaves to its host: two of them have packages for it, of two versions.
func needs(digit string) (n record.Needs, all []record.Package) {
	version := map[string]string{"b": "1", "c": "2"}[digit] // digit is empty where nothing was served
	if version == "" {
		return n, nil
	}
	return record.Needs{QEMU: true}, []record.Package{{Set: "host", Name: "qemu", NEVRA: "qemu-" + version + "-1.x86_64", Path: "qemu-" + version + ".rpm"}}
}

func (m *model) packagesFacts() packages.Facts {
	s := m.system
	f := packages.Facts{Layered: s.record, System: host.OSTree{Exists: true}}
	booted := host.Deployment{Checksum: "booted", Booted: true, Local: s.booted}
	if s.live {
		booted.LiveReplaced = "next"
	}
	if s.pending {
		f.System.Deployments = append(f.System.Deployments, host.Deployment{Checksum: "next", Staged: true, Locked: s.locked, Local: s.next})
	}
	f.System.Deployments = append(f.System.Deployments, booted)
	if s.others {
		f.System.Transaction = &host.Transaction{Method: "upgrade", Sender: ":1.7"}
	}
	running := s.booted
	if s.live {
		running = append(slices.Clone(running), s.next...)
	}
	if slices.ContainsFunc(running, isQEMU) {
		f.QEMU = "/usr/libexec/qemu-kvm"
	}
	return f
}

func isQEMU(nevra string) bool { return nevra != foreignPackage }

// equipped reports whether the host has what was served last needs. A removal layers nothing anew.
func (m *model) equipped() bool {
	n, _ := needs(servedDigit(m))
	return !n.QEMU || m.packagesFacts().QEMU != ""
}

// layer is the step, which ends where another works.
func (m *model) layer(s plan.Step, f plan.Facts) string {
	slot := m.slots[s.Slot]
	switch {
	case slot == nil || slot.Verified == nil || !slot.Mounted:
		return "LAYERED from unverified bytes"
	case m.system.others || m.system.locked:
		return "LAYERED over another's work"
	case m.busy:
		return "LAYERED on a busy node"
	}
	_, wanted := needs(digitOf(s.Payload))
	if change := packages.Change(wanted, f.Packages); len(change.Install)+len(change.Uninstall) > 0 {
		recorded := packages.Recorded(wanted, m.bootID(), f.Packages)
		m.system.record = &recorded
		m.stage(wanted, change)
		recorded.Attempts++
	}
	if len(m.system.booted) > 0 && slices.ContainsFunc(m.system.booted, isQEMU) {
		refused := *m.system.record
		refused.Refused = "next"
		m.system.record = &refused
		return ""
	}
	m.system.live = true
	return ""
}

func (m *model) stage(wanted []record.Package, change host.Layering) {
	s := &m.system
	next := s.booted
	if s.pending {
		next = s.next
	}
	next = slices.DeleteFunc(slices.Clone(next), func(nevra string) bool { return len(change.Uninstall) > 0 && isQEMU(nevra) })
	if len(change.Install) > 0 {
		next = append(next, wanted[0].NEVRA)
	}
	s.next, s.pending, s.live = next, true, s.live && len(change.Uninstall) == 0
}

func (m *model) unlayer(f plan.Facts) string {
	if f.Packages.Forgettable() {
		m.system.record = nil
		return ""
	}
	if m.system.others || m.system.locked {
		return "UNLAYERED over another's work"
	}
	live := m.system.live
	m.stage(nil, packages.Change(nil, f.Packages))
	m.system.live = live
	return ""
}

// bootSystem is what a reboot does to deployments. A locked one is not finalized.
func (m *model) bootSystem() {
	s := &m.system
	if s.pending && !s.locked {
		s.booted, s.lost = s.next, 0
	}
	s.next, s.pending, s.live, s.locked, s.others = nil, false, false, false, false
}

// discard is the machine-config daemon, which drops whatever is pending.
func (m *model) discard() {
	if m.system.pending && m.system.lost < 2 {
		m.system.lost++
		m.system.pending, m.system.locked, m.system.next = false, false, nil
		m.note("EVENT another hand discards the pending deployment")
	}
}

func (m *model) workOnSystem() {
	m.system.others = !m.system.others
	m.note("EVENT another's transaction %v", m.system.others)
}

// update is another's update, which waits for its driver. A running one unlocks it by a boot.
func (m *model) update() {
	if s := &m.system; !s.pending {
		s.pending, s.locked, s.next = true, true, slices.Clone(s.booted)
		m.note("EVENT a locked update is staged")
	}
}

// layerByHand is a person who layers something else.
func (m *model) layerByHand() {
	if s := &m.system; !s.pending && !s.others && !slices.Contains(s.booted, foreignPackage) {
		s.pending, s.next = true, append(slices.Clone(s.booted), foreignPackage)
		m.note("EVENT a person layers " + foreignPackage)
	}
}
