// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// withKata starts CRI-O with a handler "kata" that takes host network.
func withKata(t *testing.T, n *node) {
	t.Helper()
	n.dropIn(t, "60-kata", n.hostNetworkHandler(t, "kata", shimOf("v1")))
	n.start(t)
}

func TestASandboxLivesFromRunToRemove(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		requireShim(t, id)
		assert.Equal(t, ready, n.state(t, id))
		require.NoError(t, n.stopSandbox(t, id))
		assert.Equal(t, notReady, n.state(t, id))
		require.NoError(t, n.stopSandbox(t, id), "stopping twice is fine")
		require.NoError(t, n.removeSandbox(t, id))
		requireNoShim(t, id)
		assert.Empty(t, n.list(t, nil))
		require.NoError(t, n.removeSandbox(t, id), "removing twice is fine")
		_, err := n.cri.PodSandboxStatus(t.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id})
		assert.Equal(t, codes.NotFound, status.Code(err))
	})
}

func TestASecondRequestForTheSameSandboxGetsTheFirst(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		assert.Equal(t, id, n.run(t, "a", "kata"))
		assert.Len(t, n.list(t, nil), 1)
	})
}

func TestSandboxesAreListedByIDStateAndLabels(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		a, b := n.run(t, "a", "kata"), n.run(t, "b", "kata")
		require.NoError(t, n.stopSandbox(t, b))
		assert.ElementsMatch(t, []string{a, b}, n.list(t, nil))
		assert.Equal(t, []string{a}, n.list(t, &runtimeapi.PodSandboxFilter{Id: a}))
		assert.Equal(t, []string{a}, n.list(t, &runtimeapi.PodSandboxFilter{Id: a[:13]}))
		assert.Empty(t, n.list(t, &runtimeapi.PodSandboxFilter{Id: "nobody"}))
		assert.Equal(t, []string{b}, n.list(t, &runtimeapi.PodSandboxFilter{State: &runtimeapi.PodSandboxStateValue{State: notReady}}))
		assert.Equal(t, []string{a}, n.list(t, &runtimeapi.PodSandboxFilter{State: &runtimeapi.PodSandboxStateValue{State: ready}}))
		assert.Equal(t, []string{b}, n.list(t, &runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"app": "b"}}))
		assert.Empty(t, n.list(t, &runtimeapi.PodSandboxFilter{Id: a, LabelSelector: map[string]string{"app": "b"}}))
	})
}

func TestOnlyTheVerboseStatusTellsASandboxsHandler(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		response, err := n.cri.ListPodSandbox(t.Context(), &runtimeapi.ListPodSandboxRequest{})
		require.NoError(t, err)
		require.Len(t, response.GetItems(), 1)
		item := response.GetItems()[0]
		assert.Equal(t, id, item.GetId())
		assert.Equal(t, "a", item.GetMetadata().GetName())
		assert.Equal(t, "uid-of-a", item.GetMetadata().GetUid())
		assert.Equal(t, "a", item.GetLabels()["io.kubernetes.pod.name"])
		assert.Equal(t, "a", item.GetLabels()["app"])
		assert.Empty(t, item.GetRuntimeHandler())

		request := &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true}
		verbose, err := n.cri.PodSandboxStatus(t.Context(), request)
		require.NoError(t, err)
		assert.Empty(t, verbose.GetStatus().GetRuntimeHandler())
		var info struct {
			RuntimeSpec struct{ Annotations map[string]string }
		}
		require.NoError(t, json.Unmarshal([]byte(verbose.GetInfo()["info"]), &info))
		assert.Equal(t, "kata", info.RuntimeSpec.Annotations["io.kubernetes.cri-o.RuntimeHandler"])
	})
}

func TestSandboxesSurviveRestartsAndFailedRestarts(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		shim := requireShim(t, id)
		n.stop(t)
		n.dropIn(t, "70-bad", "[crio.runtime\n")
		n.refuses(t)
		n.removeDropIn(t, "70-bad")
		n.start(t)
		assert.Equal(t, shim, requireShim(t, id))
		assert.Equal(t, ready, n.state(t, id))
		require.NoError(t, n.stopSandbox(t, id))
		require.NoError(t, n.removeSandbox(t, id))
		requireNoShim(t, id)
	})
}

func TestSandboxesSurviveAKilledCrio(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		require.NoError(t, n.process.cmd.Process.Kill())
		<-n.process.ended
		n.start(t)
		assert.Equal(t, ready, n.state(t, id))
		require.NoError(t, n.stopSandbox(t, id))
	})
}

func TestASandboxCannotBeStoppedWithoutItsHandlerUntilThatIsBack(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		n.removeDropIn(t, "60-kata")
		n.restart(t)
		assert.Equal(t, ready, n.state(t, id))
		requireShim(t, id)
		require.ErrorContains(t, n.stopSandbox(t, id), "failed to find runtime handler kata")
		requireShim(t, id)

		n.dropIn(t, "60-kata", n.hostNetworkHandler(t, "kata", shimOf("v1")))
		n.restart(t)
		require.NoError(t, n.stopSandbox(t, id))
		require.NoError(t, n.removeSandbox(t, id))
		requireNoShim(t, id)
	})
}

func TestASandboxThatEndsByItselfIsNotReady(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		endVM(t, id)
		require.Eventually(t, func() bool { return n.state(t, id) == notReady }, patience, interval)
		require.NoError(t, n.stopSandbox(t, id))
		require.NoError(t, n.removeSandbox(t, id))
		assert.Empty(t, n.list(t, nil))
	})
}

func TestASandboxThatEndedWhileCrioWasDownIsNotReady(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		n.stop(t)
		endVM(t, id)
		n.start(t)
		assert.Equal(t, notReady, n.state(t, id))
		require.NoError(t, n.stopSandbox(t, id))
		require.NoError(t, n.removeSandbox(t, id))
		requireNoShim(t, id)
	})
}

func TestASandboxThatEndsByItselfAfterARestartStaysReady(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		n.restart(t)
		endVM(t, id)
		require.Never(t, func() bool { return n.state(t, id) != ready }, time.Second, interval)
		require.NoError(t, n.stopSandbox(t, id))
		assert.Equal(t, notReady, n.state(t, id))
		require.NoError(t, n.removeSandbox(t, id))
		requireNoShim(t, id)
	})
}

func TestASandboxWhoseShimWasKilledStaysReadyAndCannotBeStopped(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		killShim(t, id)
		assert.Equal(t, ready, n.state(t, id))
		require.ErrorContains(t, n.stopSandbox(t, id), "ttrpc: closed: unknown")
		require.ErrorContains(t, n.removeSandbox(t, id), "ttrpc: closed: unknown")
		assert.Equal(t, ready, n.state(t, id))
	})
}

func TestStoppingASandboxWhoseShimDiedBeforeTheStartCrashesCrio(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		withKata(t, n)
		id := n.run(t, "a", "kata")
		n.stop(t)
		killShim(t, id)
		n.start(t)
		assert.Equal(t, ready, n.state(t, id))
		require.Error(t, n.stopSandbox(t, id))
		require.Eventually(t, n.process.hasEnded, patience, interval)
		assert.Equal(t, 2, n.process.cmd.ProcessState.ExitCode())
		assert.Contains(t, n.process.log.String(), "nil pointer dereference")
	})
}
