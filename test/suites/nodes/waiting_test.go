// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestARemovalWaitsForPodsOfEveryClassAndServesThemAfterAReboot(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "waiting")
	s.install()
	s.runPod("kata")
	s.bindAliasPod("alias")
	s.awaitPod("alias")
	current := s.current()
	s.unwantSoon()
	waits := func(r node.Report) bool { return r.Phase == node.PhaseBlocked && r.BoundPods.Count == 2 }
	s.awaitReport("waits for both pods", waits)
	s.awaitStatus(s.pod("alias"))

	require.NoError(t, s.node.Reboot(t.Context()))
	assert.Equal(t, current, s.awaitServing())
	s.awaitAdmission()
	s.awaitShims(2)
	s.awaitReport("waits for both pods", waits)

	s.endPod("kata")
	s.awaitBlocked()
	assert.True(t, s.hasFile(dropIn))
	s.endPod("alias")
	s.awaitUnwanted()
	s.assertClean()
	s.bind("late", s.name+"-alias")
	s.awaitRefusal("late", notServed)
	s.assertCRIOStarts(3)
}

func TestWhatCRIOKnowsAlreadyNeedsNoRestart(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "known")
	s.install()
	s.run("sh", "-c", `printf '\n# touched\n' >> "$1"`, "sh", dropIn)
	s.kill()
	s.awaitReport("is installed with a drop-in that was touched", in(node.PhaseInstalled))

	s.run("rm", dropIn)
	s.kill()
	s.await("the drop-in is there again", s.fileExists(dropIn))
	s.awaitReport("is installed with a drop-in that was deleted", in(node.PhaseInstalled))
	s.runPod("pod")

	s.deselect()
	s.awaitBlocked()
	s.selectAgain()
	s.awaitCompleted()
	s.endPod("pod")

	s.deselect()
	s.awaitReport("is idle", in(node.PhaseIdle))
	s.assertClean()
	s.selectAgain()
	s.assertInstalled()
}

func TestASandboxThatCRIOCannotDeleteBlocksNothing(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "finished")
	s.install()
	s.runPod("pod")
	s.run("systemctl", "stop", kubeletUnit, agentUnit)
	s.prove()
	s.finishSandboxes()
	s.killShims(2)
	s.run("systemctl", "restart", crioUnit)
	s.run("systemctl", "start", kubeletUnit, agentUnit)
	s.awaitAdmission()
	s.awaitShims(1)
	s.awaitPod("pod")

	s.change("payloadImage", s.two)
	s.awaitCompleted()
	s.runPod("new")
	require.NoError(t, s.node.Reboot(t.Context()))
	s.awaitServing()
	s.awaitAdmission()
	s.awaitShims(2)
	require.GreaterOrEqual(t, s.finishedSandboxes(), 2, "CRI-O still has those that it cannot delete")

	s.endPod("pod")
	s.endPod("new")
	s.unwant()
	s.assertClean()
}
