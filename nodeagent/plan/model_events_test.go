// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"maps"
	"slices"
	"strconv"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// event lets something happen that is not the agent's doing. Hands are those of people with a root
// shell.
func (m *model) event(hands bool) {
	events := []func(){
		m.wantSomething, m.wantSomething, m.wantAhead, m.wantAhead, m.wantNothing, m.clearIntent, m.breakIntent, m.hardReboot, m.softReboot, m.cutOrMendAPI,
		m.stopOrStartCRIO, m.stopOrStartCRIO, m.restartCRIO, m.endPod, m.endPod, m.endPod, m.changeSettings, m.installKernel, m.startOrEndOtherWork, m.goOrComeBack,
		m.fillOrFreeDisk, m.discard, m.workOnSystem, m.update, m.layerByHand, m.loseOrGetKVM,
		m.needReboot, m.needReboot, m.cordonOrNot, m.startPod, m.guardOrNotPods, m.updateAgent, m.kubeletSpeaks, m.kubeletSpeaks, m.loopOrNot, m.rot,
	}
	if hands {
		events = append(events, m.editDropIn, m.deleteDropIn, m.unmountByHand, m.conflictOrNot, m.refuseOrNot, m.breakStore, m.silence, m.deleteGuestByHand)
	}
	events[m.random.IntN(len(events))]()
}

func (m *model) want(i *node.Intent) {
	m.api.intent, m.api.garbage, m.api.granted, m.used = i, false, false, 0
	m.api.mayReboot = ""
}

func (m *model) wantSomething() {
	digit := string("aabbcd"[m.random.IntN(6)])
	i := serving(digit, m.someHandlers()...)
	m.want(i)
	m.note("EVENT intent installs %s with %v", digit, i.Handlers)
}

func (m *model) wantNothing() {
	m.want(absent())
	m.note("EVENT intent is Absent")
}

func (m *model) clearIntent() {
	m.want(nil)
	m.note("EVENT intent vanishes")
}

func (m *model) breakIntent() {
	m.want(nil)
	m.api.garbage = true
	m.note("EVENT intent is garbage")
}

// goOrComeBack is the controller, whose pod may be away.
func (m *model) goOrComeBack() {
	m.away = !m.away
	m.note("EVENT controller away %v", m.away)
}

func (m *model) hardReboot() {
	m.reboot()
	m.bootSystem()
	m.boot++
	m.slots, m.current, m.proof = map[string]*modelSlot{}, plan.Pending, plan.Pending
	m.restarted, m.lacks, m.lacksFurther, m.api.granted, m.used = record.Restarted{}, "", "", false, 0
	m.need, m.findings = "", map[string]record.Findings{}
	if m.random.IntN(3) == 0 {
		m.kernel = m.kernels[m.random.IntN(len(m.kernels))]
	}
	m.lacking = !m.modules
	m.note("EVENT reboot into %s", m.kernel)
}

// loseOrGetKVM is a setting of the hypervisor below the host.
func (m *model) loseOrGetKVM() {
	m.weak = !m.weak
	m.note("EVENT without KVM %v", m.weak)
}

// softReboot keeps /run and the boot id. systemd unmounts what no process uses at that moment, and
// ends all processes after that, so that some mounts may stay. Links lead to pending where
// systemd-tmpfiles has a file of ours. The agent starts before CRI-O and repairs its links before
// it is ready.
func (m *model) softReboot() {
	m.reboot()
	for _, id := range slices.Sorted(maps.Keys(m.slots)) {
		slot := m.slots[id]
		slot.Mounted = slot.Mounted && slot.sandboxes > 0 && m.random.IntN(2) == 0
		slot.sandboxes = 0
	}
	if m.random.IntN(4) > 0 {
		m.current, m.proof = plan.Pending, plan.Pending
	}
	m.note("EVENT soft reboot, %s serves", m.current)
	for !m.resolves(m.current) || !m.resolves(m.proof) {
		f := m.facts()
		if violated := m.carryOut(plan.For(f).Next()[0], f, false); violated != "" {
			panic(violated) // links are repaired first of all
		}
	}
}

func (m *model) reboot() {
	for i := range m.api.pods {
		m.api.pods[i].slot = ""
	}
	m.crio.active, m.crio.answers, m.crio.has = false, false, false
	m.seen = nil
}

func (m *model) cutOrMendAPI() {
	m.up = !m.up
	m.note("EVENT API server %v", m.up)
}

func (m *model) stopOrStartCRIO() {
	if m.crio.active {
		m.crio.active, m.crio.answers = false, false
		m.note("EVENT CRI-O stops")
		return
	}
	m.startCRIO()
}

func (m *model) restartCRIO() {
	if m.crio.active {
		m.note("EVENT another hand restarts CRI-O")
		m.startCRIO()
	}
}

func (m *model) changeSettings() {
	m.settings = strconv.Itoa(m.random.IntN(2))
	m.note("EVENT settings %s", m.settings)
}

func (m *model) startOrEndOtherWork() {
	m.busy = !m.busy
	m.note("EVENT busy %v", m.busy)
}

func (m *model) editDropIn() {
	m.dropIn.Right = false
	m.note("EVENT drop-in edited")
}

func (m *model) deleteDropIn() {
	m.dropIn = plan.DropIn{}
	m.note("EVENT drop-in deleted")
}

func (m *model) unmountByHand() {
	for _, slot := range m.slotsOf() {
		if slot.sandboxes == 0 && slot.Mounted {
			slot.Mounted = false
			m.note("EVENT %s is unmounted by hand", slot.ID)
			return
		}
	}
}

func (m *model) conflictOrNot() {
	m.conflict = []string{"", "", "runtimes.kata-oc", "default_runtime"}[m.random.IntN(4)]
	m.note("EVENT conflict %q", m.conflict)
}

func (m *model) refuseOrNot() {
	m.refused = !m.refused
	m.note("EVENT refused %v", m.refused)
}

func (m *model) breakStore() {
	m.broken = !m.broken
	m.note("EVENT store broken %v", m.broken)
}

// fillOrFreeDisk is about the file system of /var and /etc; /run is in memory.
func (m *model) fillOrFreeDisk() {
	m.full = !m.full
	m.note("EVENT full disk %v", m.full)
}

// lacksRoom reports whether a step needs room on a disk that has none. Those that only delete files
// need none, and the clearing of a store deletes its records, too.
func (m *model) lacksRoom(s plan.Step) bool {
	return m.full && slices.Contains([]plan.Kind{
		plan.Keep, plan.Pull, plan.Prefetch, plan.LayerPackages, plan.UnlayerPackages, plan.WriteDropIn, plan.LoadModules, plan.Record,
		plan.BuildGuest, plan.BuildAhead, plan.DeleteImage, plan.RebootNode,
	}, s.Kind)
}

func (m *model) silence() {
	m.crio.answers = !m.crio.answers
	m.note("EVENT CRI-O answers %v", m.crio.answers)
}
