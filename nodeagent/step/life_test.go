// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// stages are the lives of a node, one after the other.
func stages() []node.Intent {
	ahead := installing(one())
	ahead.Prefetch = two().Reference()
	return []node.Intent{installing(one()), ahead, installing(two()), {State: node.StateAbsent}}
}

// live takes a new machine through the stages and returns its state after each, with the number of
// changes that it took.
func live(t *testing.T, b *bench) (states []state, changes []int) {
	t.Helper()
	for i, intent := range stages() {
		b.want(t, intent)
		_, last := b.settle(t)
		want := node.PhaseInstalled
		if intent.State == node.StateAbsent {
			want = node.PhaseAbsent
		}
		require.Equal(t, want, last.Phase, "stage %d waits for %q", i, last.Wait)
		states, changes = append(states, b.state(t)), append(changes, b.Changes)
	}
	return states, changes
}

func TestAWholeLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fresh := b.state(t)
	states, _ := live(t, b)

	assert.Len(t, states[0].mounts, 1)
	assert.Equal(t, "1.0.0", states[0].images[0].Version)
	assert.Contains(t, states[0].files, "etc/crio/crio.conf.d/60-kata-agent.conf")
	assert.Equal(t, states[0].mounts, states[1].mounts, "what is fetched ahead of time is not mounted")
	assert.Len(t, states[1].images, 2)
	assert.Len(t, states[2].mounts, 1, "the old slot is unmounted with the update")
	assert.Len(t, states[2].images, 2, "the former one stays for a way back")
	assert.NotContains(t, states[1].files, "etc/modules-load.d/kata-node-agent.conf")
	assert.Contains(t, states[2].files, "etc/modules-load.d/kata-node-agent.conf", "payload two starts virtual machines")
	assert.Equal(t, states[0].files["etc/crio/crio.conf.d/60-kata-agent.conf"], states[2].files["etc/crio/crio.conf.d/60-kata-agent.conf"], "an update never touches it")
	running, next := host.GuestInitrd(states[2].slot()), host.GuestInitrd(plan.SlotID(two().Platform(), "6.13", handlers.Fingerprint(nil)))
	assert.Equal(t, "a base6.12 [virtiofs]", states[2].files[running[1:]])
	assert.Equal(t, "a base6.13 [virtiofs]", states[2].files[next[1:]], "the next boot has its guest")
	assert.Equal(t, 2, b.Starts, "CRI-O starts at boot and for the first installation")

	b.shown.Intent = ""
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseIdle, last.Phase)
	gone := b.state(t)
	gone.starts = fresh.starts
	assert.Equal(t, fresh, gone, "nothing is left")
}

func TestEveryStepMayBeRepeated(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	repeated := map[plan.Kind]bool{}
	for _, intent := range stages() {
		b.want(t, intent)
		for range 50 {
			f := b.look(t)
			p := plan.For(f)
			if len(p.Lines) == 0 {
				break
			}
			s := p.Next()[0]
			require.NoError(t, b.runner().Run(t.Context(), s, f))
			once := b.state(t)
			if s.Kind == plan.RestartCRIO {
				continue // the plan itself sees to it that this happens once
			}
			require.NoError(t, b.runner().Run(t.Context(), s, f), "%s for a second time", s)
			assert.Equal(t, once, b.state(t), "%s for a second time", s)
			repeated[s.Kind] = true
		}
	}
	assert.Len(t, repeated, 18, "%v", repeated)
}

// Each change of a whole life is once the last one of an agent's life, and once the one that it
// does not live to make.
func TestAnAgentThatDiesBeforeOrAfterAnyChangeGetsToTheSameEnd(t *testing.T) {
	t.Parallel()
	want, changes := live(t, newBench(t))
	require.Greater(t, changes[3], 30)
	dies := func(name string, at int, set func(b *bench)) {
		t.Run(fmt.Sprintf("%s change %d", name, at), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			set(b)
			got, _ := live(t, b)
			assert.Equal(t, want, got)
			assert.Positive(t, b.Lives)
		})
	}
	for at := 1; at <= changes[3]; at++ {
		dies("before", at, func(b *bench) { b.CrashBefore = at })
		dies("after", at, func(b *bench) { b.CrashAt = at })
	}
}
