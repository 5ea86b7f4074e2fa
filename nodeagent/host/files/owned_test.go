// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host/files"
)

func TestAFileThatOthersCouldHaveWrittenIsRefused(t *testing.T) {
	t.Parallel()
	for says, spoil := range map[string]func(t *testing.T, file string){
		"is a symbolic link: put the file itself there": func(t *testing.T, file string) {
			t.Helper()
			require.NoError(t, os.Rename(file, file+".real"))
			require.NoError(t, os.Symlink(filepath.Base(file)+".real", file))
		},
		"file has mode 0620, so that other users can write to it: chmod go-w it": func(t *testing.T, file string) {
			t.Helper()
			require.NoError(t, os.Chmod(file, 0o620))
		},
		"dir has mode 0777, so that other users can write to it: chmod go-w it": func(t *testing.T, file string) {
			t.Helper()
			require.NoError(t, os.Chmod(filepath.Dir(file), 0o777))
		},
		"is not a regular file": func(t *testing.T, file string) {
			t.Helper()
			require.NoError(t, os.Remove(file))
			require.NoError(t, unix.Mkfifo(file, 0o600))
		},
		"file has more than 2097152 bytes": func(t *testing.T, file string) {
			t.Helper()
			require.NoError(t, os.Truncate(file, 2<<20+1))
		},
		"file belongs to user 7, must belong to user 0: chown it": func(t *testing.T, file string) {
			t.Helper()
			if os.Geteuid() != 0 {
				t.Skip("only root gives files away")
			}
			require.NoError(t, os.Chown(file, 7, 0))
		},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			file := filepath.Join(root, "dir", "file")
			require.NoError(t, os.Mkdir(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
			content, err := files.Below(root).ReadOwned("/dir/file")
			require.NoError(t, err)
			assert.Equal(t, "x", string(content))
			spoil(t, file)
			_, err = files.Below(root).ReadOwned("/dir/file")
			require.ErrorContains(t, err, says)
		})
	}
	_, err := files.Below(t.TempDir()).ReadOwned("/dir/file")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestChangesOfAWatchedFileAreSeen(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	require.ErrorIs(t, tree.Watch(t.Context(), "/dir/file", func() {}), fs.ErrNotExist)
	require.NoError(t, os.Mkdir(tree.Path("/dir"), 0o755))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	seen, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- tree.Watch(ctx, "/dir/file", func() { seen <- struct{}{} }) }()
	<-seen // it watches
	require.NoError(t, os.WriteFile(tree.Path("/dir/other"), nil, 0o600))
	for _, change := range []func() error{
		func() error { return os.WriteFile(tree.Path("/dir/file"), []byte("1"), 0o600) },
		func() error { return os.Chmod(tree.Path("/dir/file"), 0o644) },
		func() error { return os.Rename(tree.Path("/dir/other"), tree.Path("/dir/file")) },
		func() error { return os.Remove(tree.Path("/dir/file")) },
	} {
		require.NoError(t, change())
		<-seen
	}
	stop()
	require.NoError(t, <-ended)
}

func TestAWatchEndsWithItsDirectory(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	require.NoError(t, os.Mkdir(tree.Path("/dir"), 0o755))
	seen, ended := make(chan struct{}, 10), make(chan error, 1)
	go func() { ended <- tree.Watch(t.Context(), "/dir/file", func() { seen <- struct{}{} }) }()
	<-seen
	require.NoError(t, os.Remove(tree.Path("/dir")))
	require.ErrorContains(t, <-ended, "the directory was deleted or replaced")
}
