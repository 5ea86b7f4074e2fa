// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// annotate sets an annotation as the administrator.
func (w *worker) annotate(t *testing.T, key, value string) {
	t.Helper()
	require.NoError(t, attempt{w.name, "", `{"metadata":{"annotations":{"` + key + `":` + value + `}}}`}.by(t.Context(), w.cluster.kube))
}

func TestAnUpdateThatFailsStopsAtItsFirstNodeAndContinuesWhenThatIsRepaired(t *testing.T) {
	t.Parallel()
	c, seen, workers := installed(t, "a", "b", "c")
	written := map[string]int{}
	for _, name := range []string{"b", "c"} {
		written[name] = seen.nodeWrites(name)
	}
	c.kataConfig(t, "kata", "{config: {payloadImage: '"+payloadB+"'}}")
	workers["a"].awaitIntent(t, node.StateInstalled, payloadB)
	workers["a"].reports(t, node.PhaseInstalling, fails("the sandbox did not start"), func(r *node.Report) { r.Payload = node.Digest(payloadA) })
	kc := c.awaitCounts(t, "kata", "0/0/2/1 of 3 NodesFailed")
	assert.Equal(t, []v1.FailedNode{{Name: "a", Error: "pull: the sandbox did not start (AgentError)"}}, kc.Status.FailedNodes)
	assert.Equal(t, "Queued", kc.Status.Waiting[0].Reason)
	for name, before := range written {
		assert.Equal(t, before, seen.nodeWrites(name), name)
		assert.Equal(t, payloadA, workers[name].intent(t).Payload)
	}
	for _, w := range workers {
		w.awaitLabel(t, true)
	}

	workers["a"].reports(t, node.PhaseInstalled)
	for _, name := range []string{"b", "c"} {
		workers[name].awaitIntent(t, node.StateInstalled, payloadB)
		workers[name].reports(t, node.PhaseInstalled)
	}
	c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
}

func TestOneOfThreeNodesFailsAfterItsGrantAndTheOthersAreCompleted(t *testing.T) {
	t.Parallel()
	c, _, _ := installed(t, "a")
	b, last := c.worker(t, "b"), c.worker(t, "c")
	b.reports(t, node.PhaseIdle)
	b.awaitIntent(t, node.StateInstalled, payloadA)
	b.reports(t, node.PhaseAwaitingGrant)
	b.awaitGrant(t)
	b.reports(t, node.PhaseInstalling, failsItsProof)
	last.reports(t, node.PhaseIdle)
	last.installs(t, payloadA)
	kc := c.awaitCounts(t, "kata", "2/0/0/1 of 3 NodesFailed")
	assert.Equal(t, []v1.FailedNode{{Name: "b", Error: "prove payload: the sandbox did not start (AgentError)"}}, kc.Status.FailedNodes)
	b.awaitLabel(t, false)

	b.reports(t, node.PhaseInstalled)
	b.awaitLabel(t, true)
	kc = c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
	assert.Empty(t, kc.Status.FailedNodes)
}

func TestANodeThatTheAdministratorHoldsStaysAsItIs(t *testing.T) {
	t.Parallel()
	c, seen, workers := installed(t, "a", "b")
	workers["a"].annotate(t, node.HoldAnnotation, `""`)
	before := seen.nodeWrites("a")
	c.kataConfig(t, "kata", "{config: {payloadImage: '"+payloadB+"'}}")
	workers["b"].awaitIntent(t, node.StateInstalled, payloadB)
	workers["b"].reports(t, node.PhaseInstalled)
	kc := c.awaitCounts(t, "kata", "1/0/1/0 of 2 Waiting")
	assert.Equal(t, "Held", kc.Status.Waiting[0].Reason)
	assert.Contains(t, kc.Status.Waiting[0].Message, "a")
	assert.Equal(t, before, seen.nodeWrites("a"))
	assert.Equal(t, payloadA, workers["a"].intent(t).Payload)

	workers["a"].annotate(t, node.HoldAnnotation, "null")
	workers["a"].awaitIntent(t, node.StateInstalled, payloadB)
	workers["a"].reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
}

func TestNoNodeIsGrantedARestartWhileTheMachineConfigOperatorWorksOnIt(t *testing.T) {
	t.Parallel()
	c, _, _ := installed(t, "a")
	busy, free := c.worker(t, "b"), c.worker(t, "c")
	for _, w := range []*worker{busy, free} {
		w.reports(t, node.PhaseIdle)
		w.awaitIntent(t, node.StateInstalled, payloadA)
	}
	busy.annotate(t, node.MachineState, `"Working"`)
	for _, w := range []*worker{busy, free} {
		w.reports(t, node.PhaseAwaitingGrant)
	}
	free.awaitGrant(t)
	assert.Empty(t, busy.intent(t).Grants)
	free.reports(t, node.PhaseInstalled)
	kc := c.awaitCounts(t, "kata", "2/0/1/0 of 3 Waiting")
	assert.Equal(t, "MachineConfigBusy", kc.Status.Waiting[0].Reason)
	assert.Empty(t, busy.intent(t).Grants)

	busy.annotate(t, node.MachineState, `"Done"`)
	busy.awaitGrant(t)
	busy.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
}

// What the machine-config daemon says of a node that it is about to work on.
const (
	currentConfig = "machineconfiguration.openshift.io/currentConfig"
	desiredConfig = "machineconfiguration.openshift.io/desiredConfig"
)

func TestNoPayloadIsSwitchedOnANodeThatTheMachineConfigOperatorWorksOn(t *testing.T) {
	t.Parallel()
	c, seen, workers := installed(t, "a", "b", "c")
	aboutTo, working := workers["a"], workers["b"]
	aboutTo.annotate(t, node.MachineState, `"Done"`)
	aboutTo.annotate(t, currentConfig, `"rendered-worker-1"`)
	aboutTo.annotate(t, desiredConfig, `"rendered-worker-2"`)
	working.annotate(t, node.MachineState, `"Working"`)
	before := map[string]int{"a": seen.nodeWrites("a"), "b": seen.nodeWrites("b")}
	c.kataConfig(t, "kata", "{config: {payloadImage: '"+payloadB+"'}}")
	workers["c"].awaitIntent(t, node.StateInstalled, payloadB)
	workers["c"].reports(t, node.PhaseInstalled)
	kc := c.awaitCounts(t, "kata", "1/0/2/0 of 3 Waiting")
	assert.Equal(t, "MachineConfigBusy", kc.Status.Waiting[0].Reason)
	assert.Equal(t, "the machine-config operator works on the node or has given up on it, see its machine config pool: a, b", kc.Status.Waiting[0].Message)
	for name, writes := range before {
		assert.Equal(t, writes, seen.nodeWrites(name), name)
		assert.Equal(t, payloadA, workers[name].intent(t).Payload, name)
	}

	aboutTo.annotate(t, currentConfig, `"rendered-worker-2"`)
	working.annotate(t, node.MachineState, `"Done"`)
	for _, w := range []*worker{aboutTo, working} {
		w.awaitIntent(t, node.StateInstalled, payloadB)
		w.reports(t, node.PhaseInstalled)
	}
	c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
}

func TestARemovalDoesNotWaitForTheMachineConfigOperator(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "w")
	workers["w"].annotate(t, node.MachineState, `"Degraded"`)
	c.delete(t, "kata")
	workers["w"].removes(t)
	c.awaitGone(t, "kata")
	c.awaitRuntimeClass(t, "")
}
