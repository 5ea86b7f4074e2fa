// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// killedInProbe leaves behind what an agent does that is killed while the library tries whether
// overlay mounts copy metadata alone, and one that is killed before such a mount.
func (n node) killedInProbe(t *testing.T) {
	t.Helper()
	home := filepath.Join(n.root, host.StoreDir, "overlay")
	probe := filepath.Join(home, "metacopy-check2762521791")
	for _, dir := range []string{"l1", "l2", "work", "merged"} {
		require.NoError(t, os.MkdirAll(filepath.Join(probe, dir), 0o755))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(home, "compat1234", "lower"), 0o755))
	options := "lowerdir=" + probe + "/l1,upperdir=" + probe + "/l2,workdir=" + probe + "/work"
	require.NoError(t, unix.Mount("overlay", probe+"/merged", "overlay", 0, options))
	t.Cleanup(func() { _ = unix.Unmount(probe+"/merged", unix.MNT_DETACH) }) //nolint:errcheck // it is gone where the test passed
}

func (n node) probes(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(n.root, host.StoreDir, "overlay", "*c*-check*"))
	require.NoError(t, err)
	compat, err := filepath.Glob(filepath.Join(n.root, host.StoreDir, "overlay", "compat*"))
	require.NoError(t, err)
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(filepath.Join(n.root, host.StoreDir)))
	require.NoError(t, err)
	for _, m := range mounts {
		dirs = append(dirs, m.Mountpoint)
	}
	return append(dirs, compat...)
}

func TestAStoreIsDeletedAlthoughAProbeWasInterrupted(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.pull(t, name)
	n.killedInProbe(t)
	require.NoError(t, n.store.Destroy(t.Context()))
	assert.False(t, n.store.Exists())
	assert.Empty(t, n.probes(t))
}

func TestPruneEndsInterruptedProbes(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, name := s.publish(t, "1.0.0")
	n.pull(t, name)
	n.killedInProbe(t)
	require.NoError(t, n.store.Prune())
	assert.Empty(t, n.probes(t))
	assert.NoError(t, mounted(t, n, p.Manifest), "and nothing else")
}
