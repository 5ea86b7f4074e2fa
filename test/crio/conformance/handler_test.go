// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"strings"
)

func TestReloadShowsANewHandlerThatCannotBeUsedBeforeARestart(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		n.start(t)
		n.dropIn(t, "60-kata", n.hostNetworkHandler(t, "kata", shimOf("v1")))
		_, completed := n.reload(t)
		assert.True(t, completed)
		assert.Contains(t, n.shown(t), "kata")
		_, err := n.tryRun(t, "a", "kata")
		require.ErrorContains(t, err, "failed to find runtime handler kata from runtime list map[")
		n.restart(t)
		n.run(t, "a", "kata")
	})
}

func TestReloadHidesARemovedHandlerThatStillStartsSandboxes(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		n.dropIn(t, "60-kata", n.hostNetworkHandler(t, "kata", shimOf("v1")))
		n.start(t)
		n.removeDropIn(t, "60-kata")
		_, completed := n.reload(t)
		assert.True(t, completed)
		assert.NotContains(t, n.shown(t), "kata")
		n.run(t, "a", "kata")
		n.restart(t)
		_, err := n.tryRun(t, "b", "kata")
		assert.ErrorContains(t, err, "failed to find runtime handler kata")
	})
}

func TestAHandlerIsResolvedThroughItsLinkForEverySandbox(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		current := n.path("current")
		require.NoError(t, os.Symlink(filepath.Dir(shimOf("v1")), current))
		n.dropIn(t, "60-kata", n.hostNetworkHandler(t, "kata", filepath.Join(current, "containerd-shim-kata-v2")))
		n.start(t)
		first := n.run(t, "first", "kata")

		require.NoError(t, os.Symlink(filepath.Dir(shimOf("v2")), current+".new"))
		require.NoError(t, os.Rename(current+".new", current))
		second := n.run(t, "second", "kata")
		n.restart(t)

		assert.Equal(t, shimOf("v1"), executable(t, first))
		assert.Equal(t, shimOf("v2"), executable(t, second))
		for _, id := range []string{first, second} {
			require.NoError(t, n.stopSandbox(t, id))
			require.NoError(t, n.removeSandbox(t, id))
			requireNoShim(t, id)
		}
	})
}

func TestAHandlersOwnSentenceReachesWhoeverAsksForASandbox(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		n.dropIn(t, "60-kata", n.hostNetworkHandler(t, "kata", shimOf("broken")))
		n.start(t)
		assert.Contains(t, n.shown(t), "kata")
		_, err := n.tryRun(t, "a", "kata")
		require.ErrorContains(t, err, "the guest image is missing")
		require.ErrorContains(t, err, "exit status 1")
		assert.Empty(t, n.list(t, nil))
	})
}

func TestHostNetworkIsForHandlersConfiguredForIt(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		ordinary := write(t, n.path("ordinary.toml"), "[runtime]\ninternetworking_model = \"tcfilter\"\n")
		n.dropIn(t, "60-kata", vmHandler("kata", shimOf("v1"), fmt.Sprintf("runtime_config_path = %q", ordinary))+
			n.hostNetworkHandler(t, "kata-proof", shimOf("v1")))
		n.start(t)
		_, err := n.tryRun(t, "a", "kata")
		require.ErrorContains(t, err, "CreateContainer failed: Host networking requested")
		id := n.run(t, "proof", "kata-proof")
		assert.Equal(t, []string{id}, n.list(t, nil))
	})
}

func TestTheDefaultHandlerNeedsNoRuntimeForASandbox(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		n.start(t)
		id := n.run(t, "plain", "")
		assert.Equal(t, ready, n.state(t, id))
		assert.Zero(t, shimPID(t, id))
		require.NoError(t, n.stopSandbox(t, id))
		assert.Equal(t, notReady, n.state(t, id))
		require.NoError(t, n.removeSandbox(t, id))
	})
}

// executable is what the sandbox's shim runs, as a reader of /proc outside its mount namespace sees it.
func executable(t *testing.T, id string) string {
	t.Helper()
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", requireShim(t, id)))
	require.NoError(t, err)
	return strings.TrimSuffix(path, " (deleted)")
}
