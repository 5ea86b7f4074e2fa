// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host/crio"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestASandboxCannotBeStoppedWithoutItsHandlerUntilThatIsBack(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	n.removeDropIn("60-kata")
	n.restart()
	assert.Equal(n, ready, n.state(id))
	requireShim(n, id)
	require.ErrorContains(n, n.stopSandbox(id), "failed to find runtime handler kata")
	requireShim(n, id)

	n.dropIn("60-kata", n.hostNetworkHandler("kata", shimOf("v1")))
	n.restart()
	require.NoError(n, n.stopSandbox(id))
	require.NoError(n, n.removeSandbox(id))
	requireNoShim(n, id)
}

func TestASandboxWhoseShimWasKilledStaysReadyAndCannotBeStopped(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	killShim(n, id)
	assert.Equal(n, ready, n.state(id))
	require.ErrorContains(n, n.stopSandbox(id), "ttrpc: closed: unknown")
	require.ErrorContains(n, n.removeSandbox(id), "ttrpc: closed: unknown")
	assert.Equal(n, ready, n.state(id))
}

func TestStoppingASandboxWhoseShimDiedBeforeTheStartCrashesCrio(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	n.stop()
	killShim(n, id)
	n.start()
	assert.Equal(n, ready, n.state(id))
	require.Error(n, n.stopSandbox(id))
	require.Eventually(n, n.process.hasEnded, patience, interval)
	assert.Equal(n, 2, n.process.cmd.ProcessState.ExitCode())
	assert.Contains(n, n.process.log.String(), "nil pointer dereference")
}

func TestAStopWhoseCallerHasGoneIsFinishedByTheNextOne(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	shim := requireShim(n, id)
	require.NoError(n, syscall.Kill(shim, syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(n.Context(), time.Second)
	defer cancel()
	_, err := n.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	require.Equal(n, codes.DeadlineExceeded, status.Code(err))
	require.NoError(n, syscall.Kill(shim, syscall.SIGCONT))
	require.NoError(n, n.stopSandbox(id))
	assert.Equal(n, notReady, n.state(id))
	require.NoError(n, n.removeSandbox(id))
	requireNoShim(n, id)
}

// A process that gets SIGTERM before it has a handler for it does as this one does.
func TestASandboxThatIgnoresSIGTERMIsKilledBeforeTheAgentsCallEnds(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.dropIn("50-pause", "[crio.image]\npause_image = \""+stubbornPause+"\"\npause_command = \"\"\n")
	withKata(n, n)
	id := n.run("a", "kata")
	agent, err := crio.Dial(n.path("crio.sock"))
	require.NoError(n, err)
	defer agent.Close() //nolint:errcheck // Nothing is lost with it.
	require.NoError(n, agent.Remove(n.Context(), id))
	assert.Empty(n, n.list(nil))
	requireNoShim(n, id)
	assert.Regexp(n, `StopContainer with signal terminated timed out after \([1-9]s\)`, n.process.log.String())
}
