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
		plan.Keep, plan.Pull, plan.Mount, plan.Verify, plan.Configure, plan.WriteDropIn, plan.PointProof,
		plan.Prove, plan.RestartCRIO, plan.Prove, plan.Record, plan.PointCurrent,
	}, done, "the first proof learns that CRI-O does not know the handlers")
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
	require.Len(t, w.facts.Slots.Held(), 1, "the sandbox keeps its slot")

	w.slot(id("a")).Holders = nil
	done, _ = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.KeepFindings, plan.Unmount}, done, "which is retired with the last sandbox; the image stays for a way back")
}

// A watch keeps what it has seen while the API server is away: the grant may be taken back by then.
func TestAGrantIsNotUsedWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Cluster.PodsKnown = false
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	assert.Equal(t, "the API server, to learn whether CRI-O may still be restarted", last.Wait)
	w.facts.Cluster.PodsKnown = true
	done, last = w.settle(t)
	assert.Contains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestRestartWaitsForAGrantOfThisBoot(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plan.Facts){
		"none":            func(f *plan.Facts) { f.Intent.Wanted.Grants.RestartCRIO = "" },
		"of another boot": func(f *plan.Facts) { f.Intent.Wanted.Grants.RestartCRIO = "b0" },
		"from disk":       func(f *plan.Facts) { f.Intent.Shown = false },
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

func TestAGrantThatDidNotHelpIsAnErrorUntilCRIOIsRestarted(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Runtime.Restarted = record.Restarted{Intent: w.facts.Intent.Wanted.ID, Invocation: "c0"}
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonHandlersNotTaken, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, "journalctl -u crio")

	w.startCRIO("c2")
	_, last = w.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestARestartThatACrashPreventedIsDoneAfterIt(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Runtime.Restarted = record.Restarted{Intent: w.facts.Intent.Wanted.ID, Invocation: "c1"}
	done, last := w.settle(t)
	assert.Contains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestARestartWaitsWhileAnotherProgramWorksOnTheNode(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Cluster.Busy = "the machine-config daemon"
	w.facts.Intent.Wanted.Grants.RestartCRIO = ""
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.Equal(t, "the machine-config daemon", last.Wait)
	assert.Equal(t, node.PhaseInstalling, last.Phase, "no grant is asked for that could not be used at once")
}

func TestCRIOIsNotRestartedIntoAConfigurationThatItWouldRefuse(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Runtime.Refused = "/etc/crio/crio.conf.d/.half: no TOML"
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonCRIOConfigurationRefused, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, "/etc/crio/crio.conf.d/.half")
}

func TestACRIOThatDoesNotComeBackIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	for range 8 {
		w.apply(t, plan.For(w.facts).Next()[0])
	}
	next := plan.For(w.facts).Next()[0]
	require.Equal(t, plan.RestartCRIO, next.Kind)
	w.facts.Runtime.Restarted = record.Restarted{Intent: w.facts.Intent.Wanted.ID, Invocation: "c1"}
	w.facts.Runtime.Active, w.facts.Runtime.Answers, w.facts.Runtime.Invocation = false, false, "c2"
	last := plan.For(w.facts)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonCRIONotRunning, last.Problem.Reason)
	assert.Empty(t, last.Lines)
	assert.Equal(t, "CRI-O does not run since its restart: see journalctl -u crio", last.Problem.Message)
	w.facts.Runtime.Words = `level=fatal msg="no pause"`
	assert.Equal(t, `CRI-O does not run since its restart, see journalctl -u crio: level=fatal msg="no pause"`, plan.For(w.facts).Problem.Message)
}

func TestCRIOIsNotRestartedWhereItReadsNoDropInOfOurs(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Runtime.DropIn.Hidden = "/srv/crio.d"
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonHandlersNotTaken, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, "CRI-O reads drop-ins from /srv/crio.d")
}

func TestARebootRestoresFromTheStoreWithoutProofRestartOrAPIServer(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.reboot()
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Mount, plan.Verify, plan.Configure, plan.PointCurrent}, done[:4])
	assert.Equal(t, node.PhaseInstalling, last.Phase, "CRI-O is not there yet")
	w.startCRIO("c9")
	done, last = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.PointProof, plan.Prove}, done, "one proof in each boot, while pods are served")
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestEveryCRIOIsProvedOnce(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.startCRIO("c7")
	assert.Equal(t, node.PhaseInstalling, plan.For(w.facts).Phase)
	_, serving := w.facts.Serving()
	assert.True(t, serving)
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Prove}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestRebootInTheMiddleOfAnUpdateServesTheOldPayloadFirst(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Intent.Wanted = install("b")
	w.reboot()
	first := plan.For(w.facts)
	assert.Equal(t, plan.Step{Kind: plan.Mount, Payload: payload("a"), Slot: id("a")}, first.Next()[0])
}

func TestARebootIntoAnotherKernelProvesFirst(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.reboot()
	w.facts.Host.Kernel = "6.13"
	w.startCRIO("c9")
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Mount, plan.Verify, plan.Configure, plan.PointProof, plan.Prove, plan.Record, plan.PointCurrent}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestIntentThatVanishedKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Intent.Shown, w.facts.Intent.Cleared = false, true
	assert.Equal(t, plan.Plan{Phase: node.PhaseInstalled}, plan.For(w.facts))
}

func TestAnIntentThatCannotBeReadTouchesNothingAndIsNotAnsweredWithInstalled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		w    world
		want node.Phase
	}{"installed": {installed(t, "a"), node.PhaseInstalling}, "fresh": {booted(nil), node.PhaseIdle}} {
		c.w.facts.Intent.Problem, c.w.facts.Intent.Shown = "not a JSON document", false
		p := plan.For(c.w.facts)
		assert.Empty(t, p.Lines, name)
		assert.Empty(t, p.Tidy, name)
		assert.Equal(t, c.want, p.Phase, name)
	}
}

func TestHostThatIsUnfitGetsNoPayload(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Host.Problem = "this is a live system"
	done, _ := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep}, done)
}

func TestACRIOThatLostTheHandlersIsRestartedByAGrantOfTheNewIntent(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.knows[w.facts.Runtime.Invocation] = false
	w.facts.Intent.Wanted, w.facts.Intent.Kept = install("b"), false
	done, last := w.settle(t)
	assert.Contains(t, done, plan.RestartCRIO)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

func TestADropInThatWasTouchedIsWrittenAgainAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, touched := range map[string]plan.DropIn{"edited": {Exists: true}, "deleted": {}} {
		w := installed(t, "a")
		w.facts.Runtime.DropIn = touched
		done, last := w.settle(t)
		assert.Equal(t, []plan.Kind{plan.WriteDropIn}, done, name)
		assert.Equal(t, node.PhaseInstalled, last.Phase, name)
	}
}

func TestANodeSelectedAgainBeforeOrAfterTheRemovalWasOverNeedsNoRestart(t *testing.T) {
	t.Parallel()
	for steps := range 7 {
		w := installed(t, "a")
		wanted := w.facts.Intent.Wanted
		w.facts.Intent.Wanted, w.facts.Intent.Kept = absent(), true
		for range steps {
			if next := plan.For(w.facts).Next(); len(next) > 0 {
				w.apply(t, next[0])
			}
		}
		wanted.Grants = node.Grants{}
		w.facts.Intent.Wanted, w.facts.Intent.Kept = wanted, false // the same content has the same id
		done, last := w.settle(t)
		assert.NotContains(t, done, plan.RestartCRIO, "after %d steps", steps)
		assert.Equal(t, node.PhaseInstalled, last.Phase, "after %d steps", steps)
	}
}

func TestAStoreThatCannotBeReadIsNamedWhileItsPayloadServesOn(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Store.Images, w.facts.Store.Problem = nil, "images.json: invalid character"
	done, last := w.settle(t)
	assert.Empty(t, done)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonStoreUnreadable, last.Problem.Reason)
	assert.NotEqual(t, node.PhaseInstalled, last.Phase)
	_, serving := w.facts.Serving()
	assert.True(t, serving)
}

func TestWhatServedIsServedAfterABootThoughTheStoreCannotBeRead(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.reboot()
	w.facts.Store.Problem = "no space left on device"
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Mount, plan.Verify, plan.Configure, plan.PointCurrent}, done)
	_, serving := w.facts.Serving()
	assert.True(t, serving)
	assert.Equal(t, node.ReasonStoreUnreadable, last.Problem.Reason)
}

func TestADamagedServedPayloadHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.reboot()
	w.facts.Intent.Wanted, w.facts.Cluster.PodsKnown = install("b"), true
	w.startCRIO("c9")
	next := plan.For(w.facts).Next()
	require.Len(t, next, 2, "each payload has a line of its own")
	assert.Equal(t, []string{payload("a"), payload("b")}, []string{next[0].Payload, next[1].Payload})
}

// Every state between two steps is one in which a crash may leave the node: whatever was planned
// first then, the node gets there.
func TestEveryInterruptedInstallConverges(t *testing.T) {
	t.Parallel()
	for steps := range 13 {
		w := booted(install("a"))
		for range steps {
			if next := plan.For(w.facts).Next(); len(next) > 0 {
				w.apply(t, next[0])
			}
		}
		w.facts.Runtime.Restarted = record.Restarted{}
		removal := w.clone()
		_, last := w.settle(t)
		assert.Equal(t, node.PhaseInstalled, last.Phase, "after %d steps", steps)

		removal.facts.Intent.Wanted, removal.facts.Intent.Kept = absent(), false
		_, last = removal.settle(t)
		assert.Equal(t, node.PhaseAbsent, last.Phase, "removed after %d steps", steps)
	}
}
