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
func withKata(tb testing.TB, n *node) {
	tb.Helper()
	n.dropIn("60-kata", n.hostNetworkHandler("kata", shimOf("v1")))
	n.start()
}

func TestASandboxLivesFromRunToRemove(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	requireShim(n, id)
	assert.Equal(n, ready, n.state(id))
	require.NoError(n, n.stopSandbox(id))
	assert.Equal(n, notReady, n.state(id))
	require.NoError(n, n.stopSandbox(id), "stopping twice is fine")
	require.NoError(n, n.removeSandbox(id))
	requireNoShim(n, id)
	assert.Empty(n, n.list(nil))
	require.NoError(n, n.removeSandbox(id), "removing twice is fine")
	_, err := n.cri.PodSandboxStatus(n.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id})
	assert.Equal(n, codes.NotFound, status.Code(err))
}

func TestASecondRequestForTheSameSandboxGetsTheFirst(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	assert.Equal(n, id, n.run("a", "kata"))
	assert.Len(n, n.list(nil), 1)
}

func TestSandboxesAreListedByIDStateAndLabels(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	a, b := n.run("a", "kata"), n.run("b", "kata")
	require.NoError(n, n.stopSandbox(b))
	assert.ElementsMatch(n, []string{a, b}, n.list(nil))
	assert.Equal(n, []string{a}, n.list(&runtimeapi.PodSandboxFilter{Id: a}))
	assert.Equal(n, []string{a}, n.list(&runtimeapi.PodSandboxFilter{Id: a[:13]}))
	assert.Empty(n, n.list(&runtimeapi.PodSandboxFilter{Id: "nobody"}))
	assert.Equal(n, []string{b}, n.list(&runtimeapi.PodSandboxFilter{State: &runtimeapi.PodSandboxStateValue{State: notReady}}))
	assert.Equal(n, []string{a}, n.list(&runtimeapi.PodSandboxFilter{State: &runtimeapi.PodSandboxStateValue{State: ready}}))
	assert.Equal(n, []string{b}, n.list(&runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"app": "b"}}))
	assert.Empty(n, n.list(&runtimeapi.PodSandboxFilter{Id: a, LabelSelector: map[string]string{"app": "b"}}))
}

func TestOnlyTheVerboseStatusTellsASandboxsHandler(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	response, err := n.cri.ListPodSandbox(n.Context(), &runtimeapi.ListPodSandboxRequest{})
	require.NoError(n, err)
	require.Len(n, response.GetItems(), 1)
	item := response.GetItems()[0]
	assert.Equal(n, id, item.GetId())
	assert.Equal(n, "a", item.GetMetadata().GetName())
	assert.Equal(n, "uid-of-a", item.GetMetadata().GetUid())
	assert.Equal(n, "a", item.GetLabels()["io.kubernetes.pod.name"])
	assert.Equal(n, "a", item.GetLabels()["app"])
	assert.Empty(n, item.GetRuntimeHandler())

	request := &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true}
	verbose, err := n.cri.PodSandboxStatus(n.Context(), request)
	require.NoError(n, err)
	assert.Empty(n, verbose.GetStatus().GetRuntimeHandler())
	var info struct {
		RuntimeSpec struct{ Annotations map[string]string }
	}
	require.NoError(n, json.Unmarshal([]byte(verbose.GetInfo()["info"]), &info))
	assert.Equal(n, "kata", info.RuntimeSpec.Annotations["io.kubernetes.cri-o.RuntimeHandler"])
}

func TestSandboxesSurviveRestartsAndFailedRestarts(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	shim := requireShim(n, id)
	n.stop()
	n.dropIn("70-bad", "[crio.runtime\n")
	n.refuses()
	n.removeDropIn("70-bad")
	n.start()
	assert.Equal(n, shim, requireShim(n, id))
	assert.Equal(n, ready, n.state(id))
	require.NoError(n, n.stopSandbox(id))
	require.NoError(n, n.removeSandbox(id))
	requireNoShim(n, id)
}

func TestSandboxesSurviveAKilledCrio(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	require.NoError(n, n.process.cmd.Process.Kill())
	<-n.process.ended
	n.start()
	assert.Equal(n, ready, n.state(id))
	require.NoError(n, n.stopSandbox(id))
}

func TestASandboxThatEndsByItselfIsNotReady(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	endVM(n, id)
	require.Eventually(n, func() bool { return n.state(id) == notReady }, patience, interval)
	require.NoError(n, n.stopSandbox(id))
	require.NoError(n, n.removeSandbox(id))
	assert.Empty(n, n.list(nil))
}

func TestASandboxThatEndedWhileCrioWasDownIsNotReady(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	n.stop()
	endVM(n, id)
	n.start()
	assert.Equal(n, notReady, n.state(id))
	require.NoError(n, n.stopSandbox(id))
	require.NoError(n, n.removeSandbox(id))
	requireNoShim(n, id)
}

func TestASandboxThatEndsByItselfAfterARestartStaysReady(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	n.restart()
	endVM(n, id)
	require.Never(n, func() bool { return n.state(id) != ready }, time.Second, interval)
	require.NoError(n, n.stopSandbox(id))
	assert.Equal(n, notReady, n.state(id))
	require.NoError(n, n.removeSandbox(id))
	requireNoShim(n, id)
}

func TestAFinishedSandboxIsRemovedAfterARestartWhileItsShimLives(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	require.NoError(n, n.stopSandbox(id))
	n.restart()
	assert.Equal(n, notReady, n.state(id))
	require.NoError(n, n.removeSandbox(id))
	assert.Empty(n, n.list(nil))
	requireNoShim(n, id)
}

// finishedWithoutShim is a node with a sandbox that was stopped, and whose shim was killed then.
func finishedWithoutShim(t *testing.T) (n *node, id string) {
	t.Helper()
	n = newNode(t)
	withKata(n, n)
	id = n.run("a", "kata")
	require.NoError(n, n.stopSandbox(id))
	killShim(n, id)
	return n, id
}

func TestAFinishedSandboxWhoseShimHasGoneIsNeverRemovedAfterARestart(t *testing.T) {
	t.Parallel()
	n, id := finishedWithoutShim(t)
	n.restart()
	assert.Equal(n, notReady, n.state(id))
	require.NoError(n, n.stopSandbox(id))
	require.ErrorContains(n, n.removeSandbox(id), "could not retrieve container information")
	assert.Equal(n, []string{id}, n.list(nil))

	n.removeDropIn("60-kata")
	n.restart()
	require.ErrorContains(n, n.removeSandbox(id), "failed to find runtime handler kata")
	assert.Equal(n, []string{id}, n.list(nil))
}

// The only way to delete such a sandbox, as docs/operations.md says. It works without the handler.
func TestAWipeDeletesAFinishedSandboxWhoseShimHasGone(t *testing.T) {
	t.Parallel()
	n, id := finishedWithoutShim(t)
	n.removeDropIn("60-kata")
	n.restart()
	require.Error(n, n.removeSandbox(id))
	n.stop()
	said, err := n.command("wipe", "--force").CombinedOutput()
	require.NoError(n, err, string(said))
	n.start()
	assert.Empty(n, n.list(nil))
}

func TestASandboxWithoutLogDirectoryLeavesOneBehind(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id := n.run("a", "kata")
	require.NoError(n, n.removeSandbox(id))
	assert.DirExists(n, n.path("log/"+id))
}
