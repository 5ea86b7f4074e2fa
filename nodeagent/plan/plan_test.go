// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func TestNothingIsDoneWithoutAnIntent(t *testing.T) {
	t.Parallel()
	assert.Equal(t, plan.Plan{Phase: node.PhaseIdle}, plan.For(booted(nil).facts))
}

func TestInstallGoesFromPullToProofWithOneRestart(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{
		plan.Keep, plan.Pull, plan.Mount, plan.Verify, plan.Configure, plan.WriteDropIn, plan.RestartCRIO,
		plan.PointProof, plan.Prove, plan.Record, plan.PointCurrent,
	}, done)
	assert.Equal(t, plan.Plan{Phase: node.PhaseInstalled}, last)
}

func TestUpdateProvesBeforeItSwitchesAndNeedsNoRestart(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Intent.Wanted, w.facts.Intent.Kept = install("b"), false
	w.slot(id("a")).Holders = []string{"process 7 (containerd-shim-kata-v2)"}
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{
		plan.Keep, plan.Pull, plan.Mount, plan.Verify, plan.Configure, plan.PointProof, plan.Prove, plan.Record, plan.PointCurrent,
	}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	require.Len(t, plan.Held(w.facts), 1, "the sandbox keeps its version")

	w.slot(id("a")).Holders = nil
	done, _ = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Unmount, plan.DeleteImage}, done, "and it goes with the last sandbox")
}

func TestRestartWaitsForAGrantOfThisBoot(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plan.Facts){
		"none":            func(f *plan.Facts) { f.Intent.Wanted.Grants.RestartCRIO = "" },
		"of another boot": func(f *plan.Facts) { f.Intent.Wanted.Grants.RestartCRIO = "b0" },
		"from disk":       func(f *plan.Facts) { f.Intent.Told = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := booted(install("a"))
			change(&w.facts)
			done, last := w.settle(t)
			assert.NotContains(t, done, plan.RestartCRIO)
			assert.Equal(t, node.PhaseAwaitingGrant, last.Phase)
			assert.NotEmpty(t, last.Wait)
			assert.Equal(t, plan.Pending, w.facts.Slots.Current)
		})
	}
}

func TestGrantIsUsedOnceAndWhatItDidNotMendIsSaid(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Runtime.Restarted = record.Restarted{Intent: w.facts.Intent.Wanted.ID, Invocation: "c0"}
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	assert.Contains(t, last.Problem, "journalctl -u crio")
}

func TestRestartThatACrashPreventedIsDoneAfterIt(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Runtime.Restarted = record.Restarted{Intent: w.facts.Intent.Wanted.ID, Invocation: "c1"}
	done, last := w.settle(t)
	assert.Contains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestRestartWaitsWhileSomebodyElseWorksOnTheNode(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Cluster.Busy = "the machine-config daemon"
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.Equal(t, "the machine-config daemon", last.Wait)
}

func TestRebootRestoresFromTheStoreWithoutProofRestartOrAPIServer(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.reboot()
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Mount, plan.Verify, plan.Configure, plan.PointCurrent}, done)
	assert.Equal(t, node.PhaseInstalling, last.Phase, "CRI-O is not there yet")
	w.facts.Runtime = plan.Runtime{Active: true, Invocation: "c9", Answers: true, DropIn: w.facts.Runtime.DropIn}
	done, last = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.PointProof}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestRebootInTheMiddleOfAnUpdateServesTheOldPayloadFirst(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Intent.Wanted = install("b")
	w.reboot()
	first := plan.For(w.facts)
	assert.Equal(t, plan.Step{Kind: plan.Mount, Payload: payload("a"), Slot: id("a")}, first.Steps[0])
}

func TestRebootIntoAnotherKernelProvesAgain(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.reboot()
	w.facts.Host.Kernel = "6.13"
	w.facts.Runtime = plan.Runtime{Active: true, Invocation: "c9", Answers: true, DropIn: w.facts.Runtime.DropIn}
	done, last := w.settle(t)
	assert.Contains(t, done, plan.Prove)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestIntentThatVanishedKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Intent.Told, w.facts.Intent.Cleared = false, true
	assert.Equal(t, plan.Plan{Phase: node.PhaseInstalled}, plan.For(w.facts))
}

func TestIntentThatCannotBeReadTouchesNothing(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]world{"installed": installed(t, "a"), "fresh": booted(nil)} {
		w.facts.Intent.Problem, w.facts.Intent.Told = "not a JSON document", false
		p := plan.For(w.facts)
		assert.Empty(t, p.Steps, name)
		assert.Empty(t, p.Tidy, name)
	}
}

func TestHostThatIsUnfitGetsNoPayload(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Host.Problem = "this is a live system"
	done, _ := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep}, done)
}

func TestCRIOThatLostTheHandlersIsRestartedOnceMore(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Runtime.DropIn.Invocation = w.facts.Runtime.Invocation
	w.facts.Intent.Wanted = install("b")
	w.facts.Intent.Kept = false
	done, last := w.settle(t)
	assert.Contains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestDropInThatSomebodyChangedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Runtime.DropIn.Right = false
	assert.Equal(t, plan.WriteDropIn, plan.For(w.facts).Steps[0].Kind)
}

func TestPrefetchFetchesAndKeeps(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Intent.Wanted.Prefetch = payload("b")
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Pull}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

// Every state between two steps is one in which a crash may leave the node: whatever was planned first then, the node gets there.
func TestEveryInterruptedInstallConverges(t *testing.T) {
	t.Parallel()
	for steps := range 12 {
		w := booted(install("a"))
		for range steps {
			if p := plan.For(w.facts); len(p.Steps) > 0 {
				w.apply(t, p.Steps[0])
			}
		}
		w.facts.Runtime.Restarted = record.Restarted{}
		removal := world{w.facts}
		_, last := w.settle(t)
		assert.Equal(t, node.PhaseInstalled, last.Phase, "after %d steps", steps)

		removal.facts.Intent.Wanted, removal.facts.Intent.Kept = absent(), false
		_, last = removal.settle(t)
		assert.Equal(t, node.PhaseAbsent, last.Phase, "removed after %d steps", steps)
	}
}
