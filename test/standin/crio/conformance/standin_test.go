// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// standIn runs a test of what only the stand-in has.
func standIn(t *testing.T, args ...string) *node {
	t.Helper()
	needRoot(t)
	n := newNode(t, built.standIn)
	n.args = args
	return n
}

func TestAShimLeavesTheCgroupOfItsStarterAndCleansUp(t *testing.T) {
	t.Parallel()
	n := standIn(t, "--shim-cgroup-parent", "/crio-conformance")
	t.Cleanup(func() { removeCgroups("crio-conformance") })
	withKata(t, n)
	id := n.run("a", "kata")
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", requireShim(t, id)))
	require.NoError(t, err)
	assert.Contains(t, string(content), "/crio-conformance/poduid-of-a/kata_crio-"+id)
	require.NoError(t, n.stopSandbox(id))
	require.NoError(t, n.removeSandbox(id))
	requireNoShim(t, id)
	for _, pattern := range []string{"", "*/"} {
		left, err := filepath.Glob("/sys/fs/cgroup/" + pattern + "crio-conformance/poduid-of-a")
		require.NoError(t, err)
		assert.Empty(t, left)
	}
}

func TestASandboxCanBeHeldBeforeItsShimStarts(t *testing.T) {
	t.Parallel()
	n := standIn(t)
	n.args = []string{"--fault-dir", n.dir}
	withKata(t, n)
	require.NoError(t, syscall.Mkfifo(n.path("stall-run"), 0o600))
	ran := make(chan error, 1)
	go func() {
		_, err := n.tryRun("a", "kata")
		ran <- err
	}()
	hold, err := os.OpenFile(n.path("stall-run"), os.O_WRONLY, 0)
	require.NoError(t, err)
	assert.Empty(t, n.list(nil))
	assert.Empty(t, ran)
	require.NoError(t, hold.Close())
	require.NoError(t, <-ran)
	assert.Len(t, n.list(nil), 1)
}
