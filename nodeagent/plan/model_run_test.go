// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/internal/testenv"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// modes are how cruel a world is.
func modes() map[string]mode {
	return map[string]mode{"plain": {}, "failing": {failing: 0.2}, "hands": {failing: 0.1, hands: true}, "back and forth": {failing: 0.05, returns: true}}
}

type mode struct {
	// failing is the share of steps that fail.
	failing float64
	// hands is whether people with a root shell take part.
	hands bool
	// returns is whether payloads are named again and again, and nothing happens that does not
	// concern that.
	returns bool
}

// rounds is how long a world lives before it comes to rest. Where payloads are named again and
// again, something happens in each round.
func (m mode) rounds() int {
	if m.returns {
		return 80
	}
	return 200
}

// Whatever happens in whatever order: no invariant is violated at any moment, and once nothing more
// happens the node gets to where it is wanted. Each mode explores SEEDS worlds, from FIRST_SEED on.
func TestEveryWorldIsSoundAndComesToRest(t *testing.T) {
	t.Parallel()
	first, seeds := testenv.Number[uint64](t, "FIRST_SEED", 0), testenv.Number[uint64](t, "SEEDS", 800)
	for name, mode := range modes() {
		workers := uint64(runtime.GOMAXPROCS(0))
		for worker := range workers {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for seed := first + worker; seed < first+seeds; seed += workers {
					m := newModel(seed)
					if violated := m.live(mode); violated != "" {
						assert.Fail(t, violated, "seed %d:\n   %s", seed, tail(m.trace, 40))
						return
					}
				}
			})
		}
	}
}

func (m *model) live(mode mode) string {
	for range mode.rounds() {
		switch {
		case mode.returns:
			m.maybeReturn()
		case m.random.IntN(6) == 0:
			m.event(mode.hands)
		}
		m.others()
		if violated := m.pass(mode.failing); violated != "" {
			return violated
		}
		if violated := m.unsound(); violated != "" {
			return violated
		}
	}
	if violated := m.rest(); violated != "" {
		return "AT REST: " + violated
	}
	return ""
}

// pass is one turn of the agent: tidy steps, then the first step that can be carried out, and what
// may follow it.
func (m *model) pass(failing float64) string {
	f := m.facts()
	p := plan.For(f)
	m.publish(f, p)
	for _, s := range p.Tidy {
		m.note("tidy %s", s)
		if violated := m.carryOut(s, f, m.random.Float64() < failing || m.lacksRoom(s)); violated != "" {
			return fmt.Sprintf("%s: %s", violated, s)
		}
		if s.Kind == plan.VerifyAgain {
			return "" // It may have forgotten what the steps rely on. The agent looks again after each tidy step.
		}
	}
	for _, s := range p.Next() {
		fail := m.random.Float64() < failing || m.lacksRoom(s)
		m.note("step %s", s)
		if violated := m.carryOut(s, f, fail); violated != "" {
			return fmt.Sprintf("%s: %s", violated, s)
		}
		switch {
		case fail && halfway(s.Kind):
			return "" // What it has left is observed first: a step that fails is the last one of its pass.
		case fail:
			continue // As one that has failed before and is not due yet.
		case len(p.Tidy) > 0:
			return "" // What was tidied is observed first.
		}
		return m.follow(f, s, failing)
	}
	return ""
}

// follow carries out what may follow a step. What the agent takes for certain has to be what an
// observation would find.
func (m *model) follow(f plan.Facts, done plan.Step, failing float64) string {
	for fail := false; !fail; {
		after, line := plan.Following(f, done)
		if len(line) == 0 {
			return ""
		}
		if found := plan.For(m.facts()); !reflect.DeepEqual(found, plan.For(after)) {
			return fmt.Sprintf("FOLLOWING %s: %v, an observation finds %v", done, plan.For(after), found)
		}
		f, done = after, line[0]
		fail = m.random.Float64() < failing || m.lacksRoom(done)
		m.note("then %s", done)
		if violated := m.carryOut(done, f, fail); violated != "" {
			return fmt.Sprintf("%s: %s", violated, done)
		}
	}
	return ""
}

// unsound returns what is wrong with what the agent says and leaves.
func (m *model) unsound() string {
	f := m.facts()
	p := plan.For(f)
	slot, serving := f.Serving()
	bound := len(f.Cluster.BoundPods) > 0 && p.Phase == node.PhaseBlocked
	_, here := m.images[servedDigit(m)]
	here = here && !(m.weak && startsVMs(servedDigit(m)))
	switch {
	case serving && (!slot.Ready() || m.current != slot.ID):
		return "SERVES a slot that is not ready"
	case serving && m.conflict != "":
		return "SERVES under a conflict"
	case f.Intent.Problem != "" && p.Phase == node.PhaseInstalled:
		return "CLAIMS Installed for an intent that cannot be read"
	case p.Phase == node.PhaseAbsent && m.kept != nil && m.kept.State == node.StateInstalled:
		return "CLAIMS Absent while the disk has an intent to install"
	case p.Phase == node.PhaseInstalled && f.Intent.Shown && (!m.crio.has || m.crio.foreign):
		return "CLAIMS Installed while CRI-O has not our handlers"
	case p.Phase == node.PhaseInstalled && f.Intent.Shown && !slices.Equal(f.Usable(), f.Intent.Wanted.Handlers):
		return "CLAIMS Installed without a handler that is wanted"
	case p.Phase == node.PhaseInstalled && f.Intent.Shown && m.restarted.Before != nil && m.restarted.Invocation != m.invocation():
		return "CLAIMS Installed before all has come back after its restart of CRI-O"
	case p.Phase == node.PhaseInstalled && f.Unfit() != "":
		return "CLAIMS Installed on a host that cannot run the payload"
	case p.Phase == node.PhaseInstalled && !serving:
		return "CLAIMS Installed and does not serve"
	case p.Phase == node.PhaseAwaitingGrant && (m.busy || m.refused || m.crio.has && !m.crio.foreign && !m.lacksWanted(f)):
		return "ASKS for a grant that it could not use, or does not need"
	case bound && m.equipped() && len(p.Lines) == 0 && m.crio.active && !f.CrashLooping() && m.crio.has && !m.crio.foreign && m.conflict == "" && !m.broken && here && !serving:
		return "BLOCKED by bound pods that it does not serve"
	case serving && !m.broken && !m.slots[slot.ID].intact && len(p.Lines)+len(p.Tidy) == 0:
		return "SERVES what is damaged, and has nothing to do"
	case p.Wait != "" && p.Phase == node.PhaseInstalled:
		return "CLAIMS Installed and waits"
	}
	return ""
}

func servedDigit(m *model) string {
	if m.served == nil {
		return ""
	}
	return digitOf(m.served.Payload)
}
