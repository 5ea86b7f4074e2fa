// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestReloadShowsANewHandlerThatCannotBeUsedBeforeARestart(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.start()
	n.dropIn("60-kata", n.hostNetworkHandler("kata", shimOf("v1")))
	_, completed := n.reload()
	assert.True(n, completed)
	assert.Contains(n, n.shown(), "kata")
	_, err := n.tryRun("a", "kata")
	require.ErrorContains(n, err, "failed to find runtime handler kata from runtime list map[")
	n.restart()
	n.run("a", "kata")
}

func TestReloadHidesARemovedHandlerThatStillStartsSandboxes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.dropIn("60-kata", n.hostNetworkHandler("kata", shimOf("v1")))
	n.start()
	n.removeDropIn("60-kata")
	_, completed := n.reload()
	assert.True(n, completed)
	assert.NotContains(n, n.shown(), "kata")
	n.run("a", "kata")
	n.restart()
	_, err := n.tryRun("b", "kata")
	assert.ErrorContains(n, err, "failed to find runtime handler kata")
}

func TestAHandlerIsResolvedThroughItsLinkForEverySandbox(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	current := n.path("current")
	require.NoError(n, os.Symlink(filepath.Dir(shimOf("v1")), current))
	n.dropIn("60-kata", n.hostNetworkHandler("kata", filepath.Join(current, "containerd-shim-kata-v2")))
	n.start()
	first := n.run("first", "kata")

	require.NoError(n, os.Symlink(filepath.Dir(shimOf("v2")), current+".new"))
	require.NoError(n, os.Rename(current+".new", current))
	second := n.run("second", "kata")
	n.restart()

	assert.Equal(n, shimOf("v1"), executable(n, first))
	assert.Equal(n, shimOf("v2"), executable(n, second))
	for _, id := range []string{first, second} {
		require.NoError(n, n.stopSandbox(id))
		require.NoError(n, n.removeSandbox(id))
		requireNoShim(n, id)
	}
}

func TestAHandlersOwnSentenceReachesWhoeverAsksForASandbox(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.dropIn("60-kata", n.hostNetworkHandler("kata", shimOf("broken")))
	n.start()
	assert.Contains(n, n.shown(), "kata")
	_, err := n.tryRun("a", "kata")
	require.ErrorContains(n, err, "the guest image is missing")
	require.ErrorContains(n, err, "exit status 1")
	assert.Empty(n, n.list(nil))
}

func TestHostNetworkIsForHandlersConfiguredForIt(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	ordinary := write(n, n.path("ordinary.toml"), "[runtime]\ninternetworking_model = \"tcfilter\"\n")
	n.dropIn("60-kata", vmHandler("kata", shimOf("v1"), fmt.Sprintf("runtime_config_path = %q", ordinary))+
		n.hostNetworkHandler("kata-proof", shimOf("v1")))
	n.start()
	_, err := n.tryRun("a", "kata")
	require.ErrorContains(n, err, "CreateContainer failed: Host networking requested")
	id := n.run("proof", "kata-proof")
	assert.Equal(n, []string{id}, n.list(nil))
}

func TestTheDefaultHandlerNeedsNoRuntimeForASandbox(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.start()
	id := n.run("plain", "")
	assert.Equal(n, ready, n.state(id))
	assert.Zero(n, shimPID(n, id))
	require.NoError(n, n.stopSandbox(id))
	assert.Equal(n, notReady, n.state(id))
	require.NoError(n, n.removeSandbox(id))
}

// executable is what the sandbox's shim runs, as a reader of /proc outside its mount namespace sees
// it.
func executable(tb testing.TB, id string) string {
	tb.Helper()
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", requireShim(tb, id)))
	require.NoError(tb, err)
	return strings.TrimSuffix(path, " (deleted)")
}

func TestTheVerboseStatusShowsWhichProgramAHandlerHas(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.dropIn("60-kata", n.hostNetworkHandler("kata", shimOf("v1")))
	n.dropIn("99-site", n.hostNetworkHandler("kata", shimOf("v2")))
	n.start()
	response, err := n.cri.Status(n.Context(), &runtimeapi.StatusRequest{Verbose: true})
	require.NoError(n, err)
	var config struct {
		CRIO struct {
			DefaultRuntime string
			Runtimes       map[string]struct{ RuntimePath, RuntimeType string }
		} `json:"crio"`
	}
	require.NoError(n, json.Unmarshal([]byte(response.GetInfo()["config"]), &config))
	assert.Equal(n, "ordinary", config.CRIO.DefaultRuntime)
	assert.Equal(n, shimOf("v2"), config.CRIO.Runtimes["kata"].RuntimePath, "the last definition counts")
	assert.Equal(n, "vm", config.CRIO.Runtimes["kata"].RuntimeType)
}
