// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/mounts"
)

// fillBlocks and fillInodes leave nothing free in the file system of a directory.
func fillBlocks(t *testing.T, dir string) {
	t.Helper()
	require.ErrorIs(t, os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 64<<20), 0o600), unix.ENOSPC)
}

func fillInodes(t *testing.T, dir string) {
	t.Helper()
	var err error
	for i := 0; err == nil; i++ {
		err = os.Symlink("nowhere", filepath.Join(dir, fmt.Sprintf("fill%d", i)))
	}
	require.ErrorIs(t, err, unix.ENOSPC)
}

// unfill makes room again.
func unfill(t *testing.T, dir string) {
	t.Helper()
	fill, err := filepath.Glob(filepath.Join(dir, "fill*"))
	require.NoError(t, err)
	for _, file := range fill {
		require.NoError(t, os.Remove(file))
	}
}

// Opening the store needs room on its disk in each boot, and pods are served without.
func TestAPayloadIsMountedAgainOnAFullDisk(t *testing.T) {
	t.Parallel()
	for what, fill := range map[string]func(*testing.T, string){"blocks": fillBlocks, "inodes": fillInodes} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n, name, dir := onFileSystem(t, filepath.Dir(host.StoreDir), "size=16m,nr_inodes=1000")
			n.pull(t, name)
			before := n.list(t)
			require.NoError(t, n.store.Prune())
			fill(t, dir)
			// A boot forgets what the library has found out about the file system.
			require.NoError(t, os.RemoveAll(n.file(host.StoreRunDir)))

			images, err := n.store.List(t.Context())
			require.ErrorIs(t, err, unix.ENOSPC)
			require.Equal(t, before, images)
			layers, err := n.store.Layers(t.Context(), images[0].ID)
			require.NoError(t, err)
			kernel := mounts.Below(n.root, "")
			require.NoError(t, kernel.Overlay(layers, "/mnt"))
			defer unmount(t, kernel, "/mnt")
			assert.FileExists(t, n.file("/mnt/"+shim))
			_, err = n.store.Layers(t.Context(), "another")
			require.ErrorIs(t, err, unix.ENOSPC)

			unfill(t, dir)
			assert.Equal(t, before, n.list(t), "and the store is opened once there is room")
		})
	}
}

func TestWithoutItsImageANoteIsGone(t *testing.T) {
	t.Parallel()
	n, _ := closed(t)
	require.Len(t, n.below(t, host.StoreDir+"/notes"), 1)
	require.NoError(t, n.store.Delete(t.Context(), n.list(t)[0].ID))
	assert.Empty(t, n.below(t, host.StoreDir+"/notes"))
}

// A damaged store is pulled anew, which a mount from it would prevent.
func TestNothingIsMountedFromADamagedStore(t *testing.T) {
	t.Parallel()
	n, _ := closed(t)
	n.put(t, imageRecords, "[{")
	images, err := n.store.List(t.Context())
	require.Error(t, err)
	assert.Empty(t, images)
}
