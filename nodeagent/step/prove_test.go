// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func TestAProofThatFailsLeavesCurrentAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	serving := b.look(t).Slots.Current
	broken := hosttest.Payload{Version: "3", Shim: hosttest.Broken}
	b.Registry[broken.Reference()] = broken
	b.want(t, installing(broken))
	s, f := b.until(t, plan.Prove)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), `proving payload "`+broken.Reference()+`": the shim exited: exit status 1`)
	assertNoLogs(t, b)
	after := b.look(t)
	assert.Equal(t, serving, after.Slots.Current)
	assert.Equal(t, []plan.Kind{plan.PointProof, plan.Control, plan.PointProof, plan.Prove}, kindsOf(plan.For(after).Lines[0])[:4])
}

// denying is a CRI-O that may not execute the shim.
type denying struct{ host.Sandboxes }

func (denying) Prove(context.Context, string, string) (string, error) {
	return "", &fs.PathError{Op: "fork/exec", Path: host.ProofLink + "/kata-oc-proof/" + host.Shim, Err: fs.ErrPermission}
}

func TestAShimThatMayNotBeExecutedIsForSELinux(t *testing.T) {
	t.Parallel()
	for mode, hint := range map[string]bool{"enforcing": true, "permissive": false, "disabled": false} {
		b, s, f := stopped(t, plan.Prove)
		b.Handlers, b.Facts.SELinux.Mode = []string{node.Handler, node.ProofHandler}, mode
		r := b.runner()
		r.Host.Sandboxes = denying{r.Host.Sandboxes}
		err := r.Run(t.Context(), s, f)
		require.ErrorIs(t, err, fs.ErrPermission)
		assert.Equal(t, hint, strings.Contains(err.Error(), "; SELinux is enforcing: "), "%s: %v", mode, err)
	}
}

func TestASandboxWithoutAContainerProvesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hollow := hosttest.Payload{Version: "5", Shim: hosttest.Hollow}
	b.Registry[hollow.Reference()] = hollow
	b.want(t, installing(hollow))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	s, f := b.until(t, plan.Prove)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), `proving payload "`+hollow.Reference()+`": the container: the file pause was not found`)
	assert.Empty(t, b.Sandboxes, "it is removed all the same")
	assert.Equal(t, plan.Pending, b.look(t).Slots.Current)
}

func TestAProofDependsOnNoEarlierOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	s, _ := b.until(t, plan.Prove)
	b.Sandboxes = []host.Sandbox{
		{ID: "finished", Handler: node.ProofHandler, Name: "proof-" + s.Slot}, {ID: "running", Handler: node.ProofHandler, Name: "proof-1", Ready: true},
	}
	b.Kept, b.Shims["running"] = map[string]bool{"finished": true, "running": true}, host.PayloadDir("former")+"/shim"
	require.NoError(t, b.runner().Run(t.Context(), s, b.look(t)))
	_, last := b.settleSteps(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "although CRI-O removes neither")
	assert.Equal(t, []plan.Step{{Kind: plan.RemoveSandbox, Object: "finished"}, {Kind: plan.RemoveSandbox, Object: "running"}}, last.Tidy, "they are tried again, with nothing waiting for it")
}

// A CRI-O that starts and does not find the logs of a sandbox could never remove it.
func TestTheLogsOfAProofStayUntilItsSandboxIsRemoved(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Prove)
	b.Handlers = []string{node.Handler, node.ProofHandler}
	r := b.runner()
	r.Host.Sandboxes = sticky{r.Host.Sandboxes}
	require.NoError(t, r.Run(t.Context(), s, f))
	require.Len(t, b.Sandboxes, 1)
	assert.DirExists(t, filepath.Join(b.Root, host.ProofLogs, b.Sandboxes[0].Name))
	b.Sandboxes[0].Ready = false
	after := b.look(t)
	tidy := plan.For(after).Tidy
	require.Equal(t, []plan.Step{{Kind: plan.RemoveSandbox, Object: b.Sandboxes[0].ID}}, tidy)
	require.NoError(t, b.runner().Run(t.Context(), tidy[0], after))
	assert.Empty(t, b.Sandboxes)
	assertNoLogs(t, b)
}

func assertNoLogs(t *testing.T, b *bench) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(b.Root, host.ProofLogs, "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestProofsThatCannotBeRemovedDoNotPileUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hollow := hosttest.Payload{Version: "5", Shim: hosttest.Hollow}
	b.Registry[hollow.Reference()] = hollow
	b.want(t, installing(hollow))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	for range 3 {
		s, f := b.until(t, plan.Prove)
		r := b.runner()
		r.Host.Sandboxes = sticky{r.Host.Sandboxes}
		require.Error(t, r.Run(t.Context(), s, f))
	}
	require.Len(t, b.Sandboxes, 3)
	last := plan.For(b.look(t))
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonProvePayloadFailed, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, "3 sandboxes of earlier proofs still run")
	assert.Len(t, last.Tidy, 3, "their removal is tried")
	require.NoError(t, b.runner().Run(t.Context(), last.Tidy[0], b.look(t)))
	assert.Nil(t, plan.For(b.look(t)).Problem, "there may be another one")
}

// sticky is a CRI-O that answers nothing about a sandbox in which it creates a container.
type sticky struct{ host.Sandboxes }

func (sticky) Remove(context.Context, string) error { return context.DeadlineExceeded }

func TestACRIOWithoutTheHandlersIsRecordedAsLackingThem(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Prove)
	require.NoError(t, b.runner().Run(t.Context(), s, f), "it is an answer")
	again := b.look(t)
	assert.Equal(t, b.CRIO.Invocation, again.Runtime.Lacks)
	assert.Equal(t, plan.RestartCRIO, plan.For(again).Next()[0].Kind)
	b.settle(t)
	assert.Empty(t, b.look(t).Runtime.Lacks, "the proof ends it")
}

func TestAProofDuringWhichCRIOWasRestartedSaysNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	s, f := b.until(t, plan.Prove)
	r := b.runner()
	r.Host.Sandboxes = restless{r.Host.Sandboxes, b}
	require.ErrorContains(t, r.Run(t.Context(), s, f), "CRI-O was restarted during the proof")
	slot := b.look(t).Slots.All[0]
	assert.Empty(t, slot.Proved)
}

func TestWhatIsProvedIsWhatPodsGet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.Handlers, b.ForeignShim = []string{node.Handler, node.ProofHandler}, "/usr/bin/runc"
	done, last := b.settle(t)
	assert.Contains(t, done, plan.RestartCRIO, "the running CRI-O has read a file that is no longer there")
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

// restless is a CRI-O that starts anew while it proves.
type restless struct {
	host.Sandboxes
	b *bench
}

func (r restless) Prove(ctx context.Context, handler, name string) (string, error) {
	r.b.CRIO.Invocation += "0"
	return r.Sandboxes.Prove(ctx, handler, name)
}

// A mount may arrive in the mount namespace of CRI-O some time after it was made.
func TestAPayloadThatCRIODoesNotSeeYetIsNotProvedBefore(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Prove)
	b.Hidden = true
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "does not see it")
	assert.Empty(t, b.Sandboxes)
	assert.Equal(t, plan.Pending, b.look(t).Slots.Current)

	b.Hidden = false
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "it is proved as soon as CRI-O sees it")
}

func TestAProofThatTakesTooLongSaysWhatTheRuntimeComplainsOf(t *testing.T) {
	t.Parallel()
	for want, complaints := range map[string][]string{
		"CRI-O does not answer in time; its journal: level=warning msg=a | panic: b":         {"level=warning msg=a", "panic: b"},
		"CRI-O does not answer in time, nor complains in its journal (proof_timeout is 1ms)": nil,
	} {
		b := newBench(t)
		hanging := hosttest.Payload{Version: "6", Shim: hosttest.Hanging}
		b.Registry[hanging.Reference()], b.Complaints, b.self.ProofTimeout = hanging, complaints, time.Millisecond
		b.want(t, installing(hanging))
		b.Handlers = []string{node.Handler, node.ProofHandler}
		s, f := b.until(t, plan.Prove)
		require.EqualError(t, b.runner().Run(t.Context(), s, f), `proving payload "`+hanging.Reference()+`": `+want)
	}
}
