// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// onFileSystem returns a node that has a small file system mounted at dir, and a payload to pull.
func onFileSystem(t *testing.T, dir, size string) (n node, name, mounted string) {
	t.Helper()
	s := newSource(t)
	n = newNode(t, s)
	_, name = s.publish(t, "1.0.0")
	mounted = filepath.Join(n.root, dir)
	require.NoError(t, os.MkdirAll(mounted, 0o755))
	require.NoError(t, unix.Mount("tmpfs", mounted, "tmpfs", 0, size))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(mounted, unix.MNT_DETACH)) })
	return n, name, mounted
}

func TestAStoreOnAFileSystemOfItsOwnIsEmptied(t *testing.T) {
	t.Parallel()
	n, name, dir := onFileSystem(t, host.StoreDir, "size=64m")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700), "as ext4 has it")
	assert.False(t, n.store.Exists())
	assert.Empty(t, n.list(t))
	n.pull(t, name)
	require.NoError(t, n.store.Destroy(t.Context()))
	assert.False(t, n.store.Exists())
}

func TestAStoreThatIsReadOnlyIsNamed(t *testing.T) {
	t.Parallel()
	n, name, dir := onFileSystem(t, host.StoreDir, "size=64m")
	n.pull(t, name)
	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	_, err := n.store.List(t.Context())
	require.ErrorIs(t, err, unix.EROFS)
	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=64m"))
	assert.Len(t, n.list(t), 1, "and read again once it may be written to")
}

func TestAStoreOnAFullDiskIsDeleted(t *testing.T) {
	t.Parallel()
	n, name, dir := onFileSystem(t, filepath.Dir(host.StoreDir), "size=16m")
	n.pull(t, name)
	require.ErrorIs(t, os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 32<<20), 0o600), unix.ENOSPC)
	require.NoError(t, n.store.Destroy(t.Context()))
	assert.False(t, n.store.Exists())
	assert.NoDirExists(t, filepath.Join(n.root, host.StoreDir))
}
