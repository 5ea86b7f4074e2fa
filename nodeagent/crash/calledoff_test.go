// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/fileclient"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/step"
)

// callOff is how a workflow is called off after a change.
type callOff string

// Every way to call a workflow off. By hand is the command remove, once the service is stopped.
const (
	livesOn callOff = "while the agent lives on"
	dies    callOff = "while the agent dies"
	byHand  callOff = "by hand"
)

// What is called off after any of its changes leaves nothing: invariant I6, at the end of a removal
// that begins in the middle of something else.
func TestWhatIsCalledOffAnywhereLeavesNothing(t *testing.T) {
	t.Parallel()
	called := []string{
		"install", "install with a guest", "install with packages", "update while a pod runs", "update of packages", "update of the agent", "roll back", "configuration", "prefetch",
		"boot", "soft reboot",
	}
	every := every(t)
	for i, w := range workflows() {
		if !slices.Contains(called, w.name) {
			continue
		}
		called = slices.DeleteFunc(called, func(name string) bool { return name == w.name })
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			origin, trace, _ := w.undisturbed(t)
			for at := i % every; at < len(trace); at += every {
				w.calledOff(t, origin, at, livesOn)
				w.calledOff(t, origin, at, dies)
				if !strings.Contains(w.name, "packages") { // Those need a reboot, which is not made by hand.
					w.calledOff(t, origin, at, byHand)
				}
			}
		})
	}
	assert.Empty(t, called, "no workflows have these names")
}

// calledOff is a run in which nothing is wanted any more after a change, and no pod needs Kata.
func (w workflow) calledOff(t *testing.T, origin *simulation, at int, how callOff) {
	t.Helper()
	s, drop := origin.branch(t)
	defer drop()
	moment, check, called := s.gate.count+at+1, s.gate.after, false
	if how != livesOn {
		s.gate.at, s.gate.how = moment, diesAfter
	}
	s.gate.after = func(when string) {
		check(when)
		if s.gate.count == moment && !called {
			called = true
			s.end()
			s.stopped = how == byHand
			s.want(node.Intent{State: node.StateAbsent})
		}
	}
	for _, next := range w.stages {
		if !called {
			require.NoError(t, s.carryOut(next))
		}
	}
	name := fmt.Sprintf("%s, called off %s at change %d", w.name, how, at+1)
	require.True(t, called, name)
	if how == byHand {
		require.NoError(t, s.remove(), name)
	} else {
		// A boot ends what only a boot does, such as packages of the running system.
		require.NoError(t, s.run([]stage{bootHost}), name)
		assert.Equal(t, node.PhaseIdle, s.reported.Phase, name)
	}
	assert.Empty(t, s.violations, name)
	left := s.state()
	left.forget()
	delete(left.files, fragment)
	fresh := state{files: maps.Clone(s.fresh.files)}
	fresh.forget()
	assert.Empty(t, difference(fresh.files, left.files), name)
	assert.Empty(t, s.Mounts, name)
	assert.Empty(t, s.Images, name)
	assert.Empty(t, s.Sandboxes, name)
}

// remove is the command of that name, which has a process of its own. A person repeats it.
func (s *simulation) remove() error {
	s.gate.dead, s.stopped = false, false
	wish, err := fileclient.NewRemoval()
	if err != nil {
		return err
	}
	ports, now := s.ports(), func() time.Time { return s.now }
	for range 3 {
		agent := &nodeagent.Agent{
			API: wish, Looker: observe.Observer{Host: ports, Self: s.self, Now: now}, Log: s.log.logger(), Now: now, Self: s.self,
			Stepper: step.Runner{Host: ports, Self: s.self, Node: wish, Tell: func(string) {}},
			Say:     func(string, bool) {}, Hung: func(string) {}, Renew: func(error) {},
		}
		if err = agent.RemoveAll(bg); err == nil {
			return nil
		}
		s.now = s.now.Add(time.Minute)
	}
	return err
}
