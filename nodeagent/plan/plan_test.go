// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func TestNothingIsDoneWithoutAnIntent(t *testing.T) {
	t.Parallel()
	assert.Equal(t, plan.Plan{Phase: node.PhaseIdle}, plan.Make(booted(nil).facts))
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
	w.facts.Wanted, w.facts.Kept = install("b"), false
	w.version(id("a")).Holders = []string{"process 7 (containerd-shim-kata-v2)"}
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{
		plan.Keep, plan.Pull, plan.Mount, plan.Verify, plan.Configure, plan.PointProof, plan.Prove, plan.Record, plan.PointCurrent,
	}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	require.Len(t, plan.Held(w.facts), 1, "the sandbox keeps its version")

	w.version(id("a")).Holders = nil
	done, _ = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Unmount, plan.DeleteImage}, done, "and it goes with the last sandbox")
}

func TestRestartWaitsForAGrantOfThisBoot(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plan.Facts){
		"none":            func(f *plan.Facts) { f.Wanted.Grants.RestartCRIO = "" },
		"of another boot": func(f *plan.Facts) { f.Wanted.Grants.RestartCRIO = "b0" },
		"from disk":       func(f *plan.Facts) { f.Told = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := booted(install("a"))
			change(&w.facts)
			done, last := w.settle(t)
			assert.NotContains(t, done, plan.RestartCRIO)
			assert.Equal(t, node.PhaseAwaitingGrant, last.Phase)
			assert.NotEmpty(t, last.Wait)
			assert.Equal(t, plan.Pending, w.facts.Current)
		})
	}
}

func TestGrantIsUsedOnceAndWhatItDidNotMendIsSaid(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.CRIO.Restarted = plan.Restarted{Intent: w.facts.Wanted.ID, Invocation: "c0"}
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	assert.Contains(t, last.Problem, "journalctl -u crio")
}

func TestRestartThatACrashPreventedIsDoneAfterIt(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.CRIO.Restarted = plan.Restarted{Intent: w.facts.Wanted.ID, Invocation: "c1"}
	done, last := w.settle(t)
	assert.Contains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestRestartWaitsWhileSomebodyElseWorksOnTheNode(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Busy = "the machine-config daemon"
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
	w.facts.CRIO = plan.CRIO{Active: true, Invocation: "c9", Answers: true}
	done, last = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.PointProof}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestRebootInTheMiddleOfAnUpdateServesTheOldPayloadFirst(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Wanted = install("b")
	w.reboot()
	first := plan.Make(w.facts)
	assert.Equal(t, plan.Step{Kind: plan.Mount, Payload: payload("a"), Version: id("a")}, first.Steps[0])
}

func TestRebootIntoAnotherKernelProvesAgain(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.reboot()
	w.facts.Kernel = "6.13"
	w.facts.CRIO = plan.CRIO{Active: true, Invocation: "c9", Answers: true}
	done, last := w.settle(t)
	assert.Contains(t, done, plan.Prove)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestIntentThatVanishedKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Told, w.facts.Cleared = false, true
	assert.Equal(t, plan.Plan{Phase: node.PhaseInstalled}, plan.Make(w.facts))
}

func TestIntentThatCannotBeReadTouchesNothing(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]world{"installed": installed(t, "a"), "fresh": booted(nil)} {
		w.facts.IntentProblem, w.facts.Told = "not a JSON document", false
		p := plan.Make(w.facts)
		assert.Empty(t, p.Steps, name)
		assert.Empty(t, p.Tidy, name)
	}
}

func TestHostThatIsUnfitGetsNoPayload(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.HostProblem = "this is a live system"
	done, _ := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep}, done)
}

func TestCRIOThatLostTheHandlersIsRestartedOnceMore(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.DropIn.Invocation = w.facts.CRIO.Invocation
	w.facts.Wanted = install("b")
	w.facts.Kept = false
	done, last := w.settle(t)
	assert.Contains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestDropInThatSomebodyChangedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.DropIn.Right = false
	assert.Equal(t, plan.WriteDropIn, plan.Make(w.facts).Steps[0].Kind)
}

func TestPrefetchFetchesAndKeeps(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Wanted.Prefetch = payload("b")
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
			if p := plan.Make(w.facts); len(p.Steps) > 0 {
				w.apply(t, p.Steps[0])
			}
		}
		w.facts.CRIO.Restarted = plan.Restarted{}
		removal := world{w.facts}
		_, last := w.settle(t)
		assert.Equal(t, node.PhaseInstalled, last.Phase, "after %d steps", steps)

		removal.facts.Wanted, removal.facts.Kept = absent(), false
		_, last = removal.settle(t)
		assert.Equal(t, node.PhaseAbsent, last.Phase, "removed after %d steps", steps)
	}
}
