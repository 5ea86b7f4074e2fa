// SPDX-License-Identifier: Apache-2.0

package crash_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/internal/testenv"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/host/seam"
)

// run carries out the stages and returns what is wrong.
func (s *simulation) run(stages []stage) error {
	for i, next := range stages {
		err := s.carryOut(next)
		if err == nil {
			err = s.reached()
		}
		if err != nil {
			return fmt.Errorf("stage %d: %w", i, err)
		}
	}
	return nil
}

// carryOut begins a stage and lets everything come to rest.
func (s *simulation) carryOut(next stage) error {
	s.futile, s.resting, s.restless = false, false, ""
	if err := next(s); err != nil {
		return err
	}
	return s.rest()
}

// reached compares what is reported with what is wanted, and makes sure that another process has
// nothing to change.
func (s *simulation) reached() error {
	s.resting = true
	s.check("at rest")
	r := s.reported
	switch {
	case s.futile:
		return nil
	case s.intent.ID == "":
		return nil
	case s.intent.State == node.StateAbsent && len(s.pods) > 0:
	case s.intent.State == node.StateAbsent && r.Phase != node.PhaseIdle,
		s.intent.State == node.StateInstalled && (r.Phase != node.PhaseInstalled || r.IntentID != s.intent.ID || r.Payload != node.Digest(s.intent.Payload)):
		return fmt.Errorf("the node is %s with payload %q: %s", r.Phase, r.Payload, s.last.Sentence)
	}
	if s.setup {
		return nil
	}
	return s.unmoved()
}

// unmoved is I7.
func (s *simulation) unmoved() error {
	from, trace := s.gate.count, len(s.gate.trace)
	s.start()
	for range 2 {
		if _, err := s.pass(); err != nil {
			return err
		}
	}
	if s.gate.count != from {
		s.restless = fmt.Sprint(s.gate.trace[trace:])
	}
	s.check("at rest")
	return nil
}

// prepared is a node on which the stages before are done.
func (w workflow) prepared(root string) (*simulation, error) {
	s, err := simulate(root)
	if err != nil {
		return nil, err
	}
	s.setup = true
	if err := s.run(w.before); err != nil {
		return nil, fmt.Errorf("before: %w", err)
	}
	s.setup, s.gate.trace = false, nil
	return s, nil
}

// undisturbed returns the node at the beginning of the workflow, the changes of a run, and its end.
func (w workflow) undisturbed(t *testing.T) (origin *simulation, trace []change, end state) {
	t.Helper()
	origin, err := w.prepared(hosttest.MemoryDir(t))
	require.NoError(t, err)
	s, err := origin.copied(hosttest.MemoryDir(t))
	require.NoError(t, err)
	require.NoError(t, s.run(w.stages))
	require.Empty(t, s.violations)
	require.GreaterOrEqual(t, len(s.gate.trace), w.changes, "%v", s.gate.trace)
	trace, end = s.gate.trace, s.state()
	end.starts = s.Starts
	end.forget()
	return origin, trace, end
}

// every is in how many changes one is tried: EVERY.
func every(t *testing.T) int {
	t.Helper()
	return testenv.Number(t, "EVERY", 10)
}

// Every change of every workflow is once the last one of an agent's life, once the one that it does
// not live to make, once one that fails, and once one in which power is lost. A change that no
// workflow makes fails the test.
func TestAnAgentThatIsInterruptedAnywhereGetsToTheSameEnd(t *testing.T) {
	t.Parallel()
	every := every(t)
	var mu sync.Mutex
	points, tried, kind := 0, 0, map[seam.Kind]int{}
	t.Cleanup(func() {
		t.Logf("%d points, of which %d were tried in %d modes: %v", points, tried, len(modes()), kind)
		if every <= 5 { // As in make test.
			assert.GreaterOrEqual(t, tried, 250)
		}
		for _, k := range kinds() {
			assert.Positive(t, kind[k], "no workflow does %s: add one that does", k)
		}
	})
	for i, w := range workflows() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			origin, trace, want := w.undisturbed(t)
			mine := 0
			for at := i % every; at < len(trace); at += every {
				for _, how := range modes() {
					w.disturbed(t, origin, trace, at, how, want)
				}
				mine++
			}
			mu.Lock()
			defer mu.Unlock()
			points, tried = points+len(trace), tried+mine
			for _, c := range trace {
				kind[c.Kind]++
			}
		})
	}
}

// disturbed is a run with one disturbance.
func (w workflow) disturbed(t *testing.T, origin *simulation, trace []change, at int, how mode, want state) {
	t.Helper()
	s, drop := origin.branch(t)
	defer drop()
	s.gate.at, s.gate.how, s.gate.undisturbed = s.gate.count+at+1, how, trace
	err := s.run(w.stages)
	name := fmt.Sprintf("%s, change %d, %s: %s", w.name, at+1, how, s.gate.disturbed)
	require.NotEmpty(t, s.gate.disturbed.Kind, name)
	if assert.NoError(t, err, name) && assert.Empty(t, s.violations, name) {
		s.compare(t, want, name)
	}
}

// compare compares the end of a run with that of an undisturbed one.
func (s *simulation) compare(t *testing.T, want state, name string) {
	t.Helper()
	got := s.state()
	got.forget()
	assert.Empty(t, difference(want.files, got.files), name)
	assert.Equal(t, want.rest, got.rest, name)
}

// forget leaves out what two runs may differ in.
func (s state) forget() {
	maps.DeleteFunc(s.files, func(name, _ string) bool { return passing(name) })
}

// kinds are those of every method of every port that passes the seam, and of the agent's writes of
// its Node. A method that only reads fails here, because there is no host.
func kinds() []seam.Kind {
	all := []seam.Kind{publish, cordon, uncordon, evict}
	h := reflect.ValueOf(seam.Wrap(host.Host{}, func(op seam.Op, _ func() error) error {
		all = append(all, op.Kind)
		return nil
	}))
	for _, port := range h.Fields() {
		if port.IsNil() {
			continue // It changes nothing, so that nothing is put around it.
		}
		for _, method := range port.Methods() {
			call(method)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// call calls a method with nothing.
func call(method reflect.Value) {
	defer func() { _ = recover() }() //nolint:errcheck // There is no host behind it.
	var args []reflect.Value
	for i := range method.Type().NumIn() {
		if method.Type().IsVariadic() && i == method.Type().NumIn()-1 {
			break
		}
		args = append(args, reflect.Zero(method.Type().In(i)))
	}
	method.Call(args)
}
