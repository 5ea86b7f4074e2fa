// SPDX-License-Identifier: Apache-2.0

package safefile_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/internal/safefile"
)

func tree(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	return dir, root
}

func TestARegularFileIsReadUpToTheLimit(t *testing.T) {
	t.Parallel()
	dir, root := tree(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("12345678"), 0o600))
	require.NoError(t, os.Symlink("f", filepath.Join(dir, "link")))
	for _, name := range []string{"f", "link"} {
		got, err := safefile.Read(t.Context(), root, name, 8)
		require.NoError(t, err)
		assert.Equal(t, "12345678", string(got))
		got, err = safefile.ReadPath(filepath.Join(dir, name), 8)
		require.NoError(t, err)
		assert.Equal(t, "12345678", string(got))
		_, err = safefile.Read(t.Context(), root, name, 7)
		require.ErrorIs(t, err, safefile.ErrTooLarge)
		_, err = safefile.ReadPath(filepath.Join(dir, name), 7)
		require.ErrorIs(t, err, safefile.ErrTooLarge)
		require.ErrorContains(t, err, "it has more than 7 bytes")
	}
	_, err := safefile.ReadPath(filepath.Join(dir, "absent"), 7)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFilesWithoutASizeAreRead(t *testing.T) {
	t.Parallel()
	got, err := safefile.ReadPath("/proc/sys/kernel/osrelease", 1<<10)
	require.NoError(t, err)
	assert.NotEmpty(t, strings.TrimSpace(string(got)))
}

// None of these may block, and none may give anything but an error.
func TestWhatIsNoRegularFileIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	dir, root := tree(t)
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	require.NoError(t, os.Symlink("fifo", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, "zero")))
	for _, name := range []string{"fifo", "dir", "link"} {
		_, err := safefile.Read(t.Context(), root, name, 1<<20)
		require.ErrorIs(t, err, safefile.ErrNotRegular, name)
	}
	for _, name := range []string{"fifo", "dir", "link", "zero"} {
		_, err := safefile.ReadPath(filepath.Join(dir, name), 1<<20)
		require.ErrorIs(t, err, safefile.ErrNotRegular, name)
	}
}

func TestALinkThatLeavesTheRootIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir, root := tree(t)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "absolute")))
	require.NoError(t, os.Symlink("../../../../../../etc/passwd", filepath.Join(dir, "relative")))
	for _, name := range []string{"absolute", "relative"} {
		_, err := safefile.Read(t.Context(), root, name, 1<<20)
		require.ErrorContains(t, err, "escapes", name)
	}
}

func TestAReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir, root := tree(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("content"), 0o600))
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	_, err := safefile.Read(ctx, root, "f", 1<<20)
	require.ErrorIs(t, err, stopped)
	_, err = io.ReadAll(safefile.Reader(ctx, strings.NewReader("content")))
	require.ErrorIs(t, err, stopped)
}
