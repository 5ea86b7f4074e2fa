// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host/proc"
)

// A process in a mount namespace of its own may lack what was mounted since, and an absolute link
// leads to what that process has there.
func TestAFileIsLookedForInTheMountNamespaceOfTheProcess(t *testing.T) {
	t.Parallel()
	if os.Getpid() != 1 {
		t.Skip("mounting needs root")
	}
	root := t.TempDir()
	for _, dir := range []string{"usr", "new"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "new/qemu"), nil, 0o600))
	require.NoError(t, os.Symlink(filepath.Join(root, "usr/qemu"), filepath.Join(root, "link")))
	c := exec.CommandContext(t.Context(), "cat")
	c.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	older, end := started(t, c)
	defer end()

	require.NoError(t, unix.Mount(filepath.Join(root, "new"), filepath.Join(root, "usr"), "", unix.MS_BIND, ""))
	defer func() { require.NoError(t, unix.Unmount(filepath.Join(root, "usr"), 0)) }()
	table := proc.Below(root)
	for _, path := range []string{"/usr/qemu", "/link"} {
		require.FileExists(t, filepath.Join(root, path))
		require.NoError(t, table.Sees(os.Getpid(), path))
		require.ErrorIs(t, table.Sees(older, path), fs.ErrNotExist)
	}
	require.NoError(t, table.Sees(older, "/new/qemu"))
	err := table.Sees(1<<22, "/usr/qemu")
	require.ErrorIs(t, err, unix.ESRCH)
	require.NotErrorIs(t, err, fs.ErrNotExist, "a process that has ended says nothing of the file")
}
