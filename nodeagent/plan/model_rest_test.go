// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// rest lets everything be well: what is broken is fixed, the controller acts, nothing new happens.
// It returns why the node does not get to where it is wanted.
func (m *model) rest() string {
	m.up, m.broken, m.refused, m.busy, m.weak = true, false, false, false, false
	m.system.others = false
	if m.system.locked {
		m.hardReboot()
	}
	m.api.stuck = false
	if m.conflict != "" {
		m.conflict = ""
		m.note("REST the conflict is resolved")
	}
	if m.api.garbage || m.api.intent == nil {
		m.api.garbage = false
		m.wantAgain()
	}
	// The removal itself has to make room.
	m.full = m.full && m.store && m.api.intent != nil && m.api.intent.State == node.StateAbsent
	if !m.crio.active {
		m.startCRIO()
	}
	m.crio.answers, m.crio.loops = true, false
	for range 300 {
		if !m.crio.active { // After a reboot.
			m.startCRIO()
		}
		m.crio.answers = true
		f := m.facts()
		p := plan.For(f)
		m.publish(f, p)
		switch {
		case len(p.Lines) > 0 || len(p.Tidy) > 0:
			if violated := m.pass(0); violated != "" {
				return violated
			}
			m.leaveDamaged()
			if m.full { // A step that fails for want of room is there for as long as pods hold the removal up.
				m.helped(p)
			}
		case m.kubeletReturns():
		case !m.helped(p):
			return m.wrong(f, p)
		}
	}
	return "NEVER SETTLES"
}

// wantAgain is the controller finding its intent vanished or broken.
func (m *model) wantAgain() {
	if m.kept == nil {
		return
	}
	again := *m.kept
	m.want(&again)
	m.note("REST the controller writes intent %s again", again.ID)
}

// helped does what the node waits for. It returns false when the node waits for nothing.
func (m *model) helped(p plan.Plan) bool {
	before := len(m.trace)
	switch {
	case m.api.intent == nil && m.kept == nil && p.Phase == node.PhaseInstalling:
		m.want(absent())
		m.note("REST the controller cleans what nobody wants")
	case p.Reboot != "" && (m.api.intent == nil || m.api.intent.State != node.StateInstalled):
		m.hardReboot()
		m.startCRIO()
	case p.Problem != nil && p.Problem.Reason == node.ReasonLayeringLost:
		m.note("REST a person deletes the record")
		m.system.record = nil
	case p.Problem != nil && p.Problem.Reason == node.ReasonPayloadGivenUp:
		m.note("REST a person restarts CRI-O, for another proof")
		m.startCRIO()
	case p.Problem != nil && p.Problem.Reason == node.ReasonRebootInVain:
		m.note("REST a person does what the reboot was for")
		m.need, m.rebooted = "", record.Rebooted{}
	case p.Reboot != "":
		m.control()
	case p.Phase == node.PhaseAwaitingGrant:
		m.control()
	case p.Phase == node.PhaseBlocked && len(m.api.pods) > 0, strings.Contains(p.Wait, "cannot reach"):
		m.endPods()
	case p.Phase == node.PhaseBlocked, p.Phase == node.PhaseAbsent && m.api.intent != nil:
		m.control()
	case p.Problem != nil && p.Problem.Reason == node.ReasonHandlersNotTaken && (!m.crio.has || m.crio.foreign || m.older):
		m.note("REST a person restarts CRI-O")
		m.startCRIO()
	}
	return len(m.trace) > before
}

// wrong says why a node at rest is not what is wanted of it.
func (m *model) wrong(f plan.Facts, p plan.Plan) string {
	wanted := f.Intent.Wanted
	ours := m.system.record != nil
	switch {
	case m.armed && !m.dropIn.Right:
		return "ARMED, and without the drop-in"
	case !m.armed && m.dropIn.Exists && (wanted == nil || wanted.State == node.StateAbsent):
		return "REMOVED, and keeps the drop-in"
	case ours && (wanted == nil || wanted.State == node.StateAbsent):
		return "REMOVED, and keeps a record of packages"
	case m.api.cordoned != m.byHand:
		return fmt.Sprintf("cordoned %v, and by hand %v", m.api.cordoned, m.byHand)
	case m.api.mark != "":
		return "the mark stays"
	case wanted == nil || wanted.State == node.StateAbsent:
		if slices.ContainsFunc(m.system.booted, isQEMU) {
			return "REMOVED, and leaves packages"
		}
		return ""
	case architecture(digitOf(wanted.Payload)) != "amd64":
		if p.Problem == nil || p.Problem.Reason != node.ReasonPayloadUnfit {
			return "an unfit payload is not named"
		}
		return ""
	case len(wanted.Handlers) > 0 && !slices.Contains(offers(digitOf(wanted.Payload)), "kata-oc-rs"):
		if p.Problem == nil || p.Problem.Reason != node.ReasonHandlerNotOffered {
			return "a handler that is not offered is not named"
		}
		return ""
	case ours && !slices.ContainsFunc(f.Packages.Layered.Packages, func(p record.Package) bool { return slices.Contains(m.system.booted, p.NEVRA) || m.system.live }):
		return "INSTALLED, and keeps a record of packages that are nowhere"

	case p.Problem != nil:
		return "PROBLEM " + p.Problem.Message
	case p.Phase != node.PhaseInstalled:
		return "ends in phase " + string(p.Phase) + ", waits for " + p.Wait
	case f.Prefetched() != node.Digest(wanted.Prefetch):
		return "INSTALLED, and without " + wanted.Prefetch
	case len(m.images) > m.mayKeep(f):
		return "INSTALLED, and keeps images that nothing needs"
	case m.lacking && startsVMs(digitOf(wanted.Payload)):
		return "INSTALLED without a module"
	case !slices.Equal(f.Usable(), wanted.Handlers):
		return "INSTALLED without a handler that is wanted"
	case !m.crio.has || m.crio.foreign:
		return "INSTALLED, and CRI-O does not have our handlers"
	case !m.resolves(m.current) || !m.slots[m.current].intact:
		return "INSTALLED, and current does not lead to what was verified"
	}
	return m.wrongGuests(wanted.Payload)
}
