// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// ConformFiles tells whether files of an empty root behave as the port says.
func ConformFiles(t *testing.T, files host.Files) {
	t.Helper()
	_, err := files.Read("/d/b")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = files.Readlink("/d/l")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = files.Stat("/d/b")
	require.ErrorIs(t, err, fs.ErrNotExist)
	names, err := files.List("/d")
	require.NoError(t, err, "a directory that does not exist holds nothing")
	assert.Empty(t, names)
	require.NoError(t, files.Remove("/d/b"), "nor is there anything to remove")

	for range 2 {
		require.NoError(t, files.Write("/d/b", []byte("old"), 0o600))
		require.NoError(t, files.Write("/d/b", []byte("new"), 0o640))
		require.NoError(t, files.Link("/d/l", "a"))
		require.NoError(t, files.Link("/d/l", "b"))
	}
	text, err := files.Read("/d/l")
	require.NoError(t, err)
	assert.Equal(t, "new", string(text))
	for _, path := range []string{"/d/b", "/d/l"} {
		info, err := files.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o640), info.Mode(), path)
	}
	target, err := files.Readlink("/d/l")
	require.NoError(t, err)
	assert.Equal(t, "b", target)
	require.NoError(t, files.Write("/d/a/deep", nil, 0o600))
	names, err = files.List("/d")
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "l"}, names)

	for range 2 {
		require.NoError(t, files.Remove("/d/l"))
		require.NoError(t, files.Remove("/d/a"))
	}
	names, err = files.List("/d")
	require.NoError(t, err)
	assert.Equal(t, []string{"b"}, names, "what a link leads to stays")
}

// MountsBench is where the conformance of mounts is tested.
type MountsBench struct {
	Mounts host.Mounts
	Root   string
	// Hold makes the mount at a target busy until the returned function is called.
	Hold func(target string) (release func())
}

// ConformMounts tells whether mounts below a root behave as the port says.
func ConformMounts(t *testing.T, b MountsBench) {
	t.Helper()
	const dir, target = "/run/slots", "/run/slots/1/payload"
	layer := filepath.Join(b.Root, "layer")
	require.NoError(t, os.MkdirAll(layer, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(layer, "shim"), []byte("x"), 0o600))
	below := func(dir string) []string {
		points, err := b.Mounts.Below(dir, 0)
		require.NoError(t, err)
		return points
	}

	require.Error(t, b.Mounts.Overlay([]string{filepath.Join(b.Root, "nowhere")}, target))
	assert.Empty(t, below(dir))
	require.NoError(t, b.Mounts.Overlay([]string{layer}, target))
	assert.FileExists(t, filepath.Join(b.Root, target, "shim"))
	assert.Equal(t, []string{target}, below(dir))
	assert.Equal(t, []string{target}, below(target))
	assert.Empty(t, below("/run/slot"), "a directory, not a prefix")

	release := b.Hold(target)
	var busy *host.Busy
	require.ErrorAs(t, b.Mounts.Unmount(target), &busy)
	require.ErrorIs(t, busy, unix.EBUSY)
	assert.Equal(t, []string{target}, below(dir), "it stays")
	release()

	require.NoError(t, b.Mounts.Overlay([]string{layer}, target))
	assert.Equal(t, []string{target, target}, below(dir), "a second mount lies on the first")
	require.NoError(t, b.Mounts.Unmount(target))
	assert.FileExists(t, filepath.Join(b.Root, target, "shim"))
	require.NoError(t, b.Mounts.Unmount(target))
	assert.NoFileExists(t, filepath.Join(b.Root, target, "shim"))
	assert.DirExists(t, filepath.Join(b.Root, target), "the mount point stays")
	assert.Empty(t, below(dir))
	last := b.Mounts.Unmount(target)
	require.ErrorIs(t, last, unix.EINVAL)
	assert.NotErrorAs(t, last, &busy)
}

// ConformProcesses tells whether the users of a directory are found; start runs a program at a path
// until the returned function is called.
func ConformProcesses(t *testing.T, processes host.Processes, start func(path string) (pid int, end func())) {
	t.Helper()
	pids := func(dir string) (pids []int) {
		using, err := processes.Using(dir)
		require.NoError(t, err)
		for _, p := range using {
			pids = append(pids, p.PID)
			assert.Contains(t, p.Paths, "/slots/1/payload/shim")
			assert.NotEmpty(t, p.Args)
			assert.WithinDuration(t, time.Now(), p.Since, time.Hour)
		}
		return pids
	}
	assert.Empty(t, pids("/slots"))
	pid, end := start("/slots/1/payload/shim")
	assert.Equal(t, []int{pid}, pids("/slots"))
	assert.Equal(t, []int{pid}, pids("/slots/1"))
	assert.Empty(t, pids("/slot"), "a directory, not a prefix")
	assert.Empty(t, pids("/slots/2"))
	for dir, want := range map[string]int{"/slots/1/payload": 1, "/slots/2/payload": 0} {
		holding, err := processes.Holding(dir, 2)
		require.NoError(t, err)
		require.Len(t, holding, want, dir)
		for _, p := range holding {
			assert.Equal(t, host.Process{PID: pid, Name: "shim"}, p)
		}
	}
	require.NoError(t, processes.Sees(pid, "/slots/1/payload/shim"))
	require.ErrorIs(t, processes.Sees(pid, "/slots/2/payload/shim"), fs.ErrNotExist)
	end()
	assert.Empty(t, pids("/slots"))
}
