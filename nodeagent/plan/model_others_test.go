// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// others do what goes on all the time: controller, scheduler and kubelet.
func (m *model) others() {
	if !m.away && m.random.IntN(2) == 0 {
		m.control()
	}
	if m.random.IntN(6) == 0 {
		m.schedule()
	}
	if m.random.IntN(2) == 0 {
		m.startSandbox()
	}
}

// schedule binds a pod, which the label alone allows.
func (m *model) schedule() {
	if !m.api.labelled || m.api.cordoned || len(m.api.pods) > 3 {
		return
	}
	m.api.pods = append(m.api.pods, modelPod{name: fmt.Sprintf("p%d", len(m.trace)), bound: true})
	m.note("a pod is bound")
}

func (m *model) startSandbox() {
	for i := range m.api.pods {
		p := &m.api.pods[i]
		if p.bound && p.slot == "" && m.crio.active && m.crio.has && m.current != plan.Pending && m.resolves(m.current) {
			p.slot = m.current
			m.slots[m.current].sandboxes++
			m.note("the sandbox of %s starts on %s", p.name, m.current)
			return
		}
	}
}

func (m *model) endPod() {
	if len(m.api.pods) > 0 {
		m.note("EVENT pod %s ends", m.api.pods[0].name)
		m.endSandbox(&m.api.pods[0])
		m.api.pods = m.api.pods[1:]
	}
}

func (m *model) endPods() {
	for len(m.api.pods) > 0 {
		m.endPod()
	}
}

func (m *model) endSandbox(p *modelPod) {
	if slot := m.slots[p.slot]; slot != nil && slot.sandboxes > 0 {
		slot.sandboxes--
	}
	p.slot = ""
}

// control is the controller, which acts on the report it finds.
func (m *model) control() {
	r, i := m.api.report, m.api.intent
	if r == nil || i == nil || r.id != i.ID {
		return
	}
	m.grantReboot(r)
	before := m.api.labelled
	switch {
	case i.State == node.StateInstalled && r.phase == node.PhaseAwaitingGrant && !m.api.granted:
		m.api.granted = true
		m.note("the controller grants")
	case i.State == node.StateInstalled && r.phase == node.PhaseInstalled:
		m.api.labelled = true
	case i.State == node.StateAbsent && r.phase == node.PhaseAbsent:
		m.want(nil)
		m.api.labelled = false
	case i.State == node.StateAbsent && r.bound == 0:
		m.api.labelled = false
	}
	if before != m.api.labelled {
		m.note("the controller sets the label: %v", m.api.labelled)
	}
}

// publish is the agent's report.
func (m *model) publish(f plan.Facts, p plan.Plan) {
	if !m.up {
		return
	}
	r := &modelReport{id: f.Intent.ID, phase: p.Phase, bound: len(f.Cluster.BoundPods), reboot: p.Reboot != ""}
	if r.id == "" && f.Intent.Wanted != nil {
		r.id = f.Intent.Wanted.ID
	}
	if m.api.report == nil || *m.api.report != *r {
		m.api.report = r
		m.note("report %v", *r)
	}
}
