// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/internal/safefile"
	"github.com/kata-node/kata-node/nodeagent/host/files"
)

const dropIn = "/etc/crio/crio.conf.d/60-kata-agent.conf"

func put(t *testing.T, root, path, content string) string {
	t.Helper()
	file := filepath.Join(root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

// everything returns all paths below a root, links with their targets.
func everything(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			found[name], err = os.Readlink(path)
			return err
		}
		content, err := os.ReadFile(path)
		found[name] = string(content)
		return err
	}))
	return found
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var s unix.Stat_t
	require.NoError(t, unix.Lstat(path, &s))
	return s.Ino
}

func TestWriteMakesParentsAndLeavesNothingElse(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, files.Below(root).Write("/a/b/c", []byte("one"), 0o640))
	assert.Equal(t, map[string]string{"a/b/c": "one"}, everything(t, root))
	info, err := os.Stat(filepath.Join(root, "a/b/c"))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode(), "whatever the umask is")
}

func TestWriteReplacesTheFileAndNotItsContent(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file := put(t, root, "a", "one")
	open, err := os.Open(file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, open.Close()) })
	require.NoError(t, files.Below(root).Write("/a", []byte("two"), 0o600))
	old := make([]byte, 3)
	_, err = open.Read(old)
	require.NoError(t, err)
	assert.Equal(t, "one", string(old), "who has the old one open goes on reading it")
	assert.Equal(t, map[string]string{"a": "two"}, everything(t, root))
}

func TestEqualContentIsLeftAlone(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree := files.Below(root)
	file := put(t, root, "a", "same")
	before := inode(t, file)
	require.NoError(t, tree.Write("/a", []byte("same"), 0o600))
	assert.Equal(t, before, inode(t, file))

	require.NoError(t, tree.Link("/l", "a"))
	before = inode(t, filepath.Join(root, "l"))
	require.NoError(t, tree.Link("/l", "a"))
	assert.Equal(t, before, inode(t, filepath.Join(root, "l")))
}

// CRI-O reads every file of that directory, so the kernel is asked for each name that ever appears
// in it.
func TestCRIOsDirectoryNeverSeesATemporaryFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree := files.Below(root)
	dir := filepath.Join(root, filepath.Dir(dropIn))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK)
	require.NoError(t, err)
	events := os.NewFile(uintptr(watch), "inotify")
	t.Cleanup(func() { require.NoError(t, events.Close()) })
	_, err = unix.InotifyAddWatch(watch, dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_MOVED_FROM|unix.IN_DELETE)
	require.NoError(t, err)

	require.NoError(t, tree.Write(dropIn, []byte("one"), 0o644))
	require.NoError(t, tree.Write(dropIn, []byte("two"), 0o644))
	require.NoError(t, tree.Remove(dropIn))

	buffer := make([]byte, 4096)
	n, err := events.Read(buffer)
	require.NoError(t, err)
	// The kernel tells equal events in a row once.
	assert.Equal(t, []event{{unix.IN_MOVED_TO, filepath.Base(dropIn)}, {unix.IN_DELETE, filepath.Base(dropIn)}}, decode(buffer[:n]))
}

func TestAWriteThatFailsLeavesTheOldFileAndNothingElse(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put(t, root, "dir/is/there", "x")
	err := files.Below(root).Write("/dir/is", []byte("new"), 0o600)
	require.ErrorContains(t, err, "dir/is")
	assert.Equal(t, "x", everything(t, root)["dir/is/there"])
}

func TestWhatACrashLeftIsOverwritten(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(t *testing.T, staged string){
		"half a file": func(t *testing.T, staged string) {
			t.Helper()
			require.NoError(t, os.WriteFile(staged, []byte("half of something longer"), 0o400))
		},
		"a link": func(t *testing.T, staged string) { t.Helper(); require.NoError(t, os.Symlink("victim", staged)) },
		"a directory": func(t *testing.T, staged string) {
			t.Helper()
			require.NoError(t, os.MkdirAll(filepath.Join(staged, "x"), 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			tree := files.Below(root)
			put(t, root, "victim", "untouched")
			leave(t, filepath.Join(root, ".file.kata-agent"))
			require.NoError(t, tree.Write("/file", []byte("whole"), 0o600))
			leave(t, filepath.Join(root, ".link.kata-agent"))
			require.NoError(t, tree.Link("/link", "file"))
			assert.Equal(t, map[string]string{"victim": "untouched", "file": "whole", "link": "file"}, everything(t, root))
		})
	}
}

func TestLinkIsReplacedByRename(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree := files.Below(root)
	require.NoError(t, tree.Link("/run/current", "versions/pending"))
	require.NoError(t, tree.Link("/run/current", "versions/1"))
	target, err := tree.Readlink("/run/current")
	require.NoError(t, err)
	assert.Equal(t, "versions/1", target)
	assert.Len(t, everything(t, root), 1)
}

func TestRemoveTakesLeftoversOfInterruptedWritesToo(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree := files.Below(root)
	put(t, root, dropIn, "x")
	put(t, root, "/etc/crio/.60-kata-agent.conf.kata-agent", "half")
	put(t, root, "/etc/crio/crio.conf.d/50-theirs", "y")
	require.NoError(t, tree.Remove(dropIn))
	assert.Equal(t, map[string]string{"etc/crio/crio.conf.d/50-theirs": "y"}, everything(t, root))
	require.NoError(t, tree.Remove(dropIn), "what is gone may be removed again")
	require.NoError(t, tree.Remove("/no/such/dir/file"))
}

func TestRemoveDoesNotFollowLinks(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put(t, root, "theirs/file", "x")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "ours"), 0o755))
	require.NoError(t, os.Symlink("../theirs", filepath.Join(root, "ours/link")))
	require.NoError(t, files.Below(root).Remove("/ours"))
	assert.Equal(t, map[string]string{"theirs/file": "x"}, everything(t, root))
}

func TestRemoveRefusesATreeInWhichSomethingIsMounted(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	root := t.TempDir()
	put(t, root, "theirs/file", "x")
	put(t, root, "ours/mark", "y")
	point := filepath.Join(root, "ours/point")
	require.NoError(t, os.MkdirAll(point, 0o755))
	require.NoError(t, unix.Mount(filepath.Join(root, "theirs"), point, "", unix.MS_BIND, ""))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(point, 0)) })
	require.ErrorContains(t, files.Below(root).Remove("/ours"), point+" is mounted there")
	assert.FileExists(t, filepath.Join(root, "theirs/file"))
	assert.FileExists(t, filepath.Join(root, "ours/mark"), "nothing of it goes")
}

// synced is a disk that notes what is synced.
type synced struct {
	files.Kernel

	paths *[]string
}

func (s synced) Sync(path string) error {
	*s.paths = append(*s.paths, path)
	return s.Kernel.Sync(path)
}

// A file below /run costs the disk nothing.
func TestADirectoryIsSyncedUpToItsFileSystem(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	root := t.TempDir()
	run := filepath.Join(root, "run")
	require.NoError(t, os.Mkdir(run, 0o755))
	require.NoError(t, unix.Mount("none", run, "tmpfs", 0, ""))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(run, 0)) })
	var paths []string
	tree := files.Below(root).On(synced{paths: &paths})
	require.NoError(t, tree.Write("/run/a/b", []byte("x"), 0o600))
	assert.Equal(t, []string{run + "/a/.b.kata-agent", run + "/a", run}, paths)
	paths = nil
	require.NoError(t, tree.Write("/var/a", []byte("x"), 0o600))
	assert.Equal(t, []string{root + "/var/.a.kata-agent", root + "/var", root}, paths)
}

func TestReading(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree := files.Below(root)
	put(t, root, "d/b", "2")
	put(t, root, "d/a", "1")
	content, err := tree.Read("/d/a")
	require.NoError(t, err)
	assert.Equal(t, "1", string(content))
	_, err = tree.Read("/d/c")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = tree.Readlink("/d/c")
	require.ErrorIs(t, err, fs.ErrNotExist)
	names, err := tree.List("/d")
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, names)
	names, err = tree.List("/nowhere")
	require.NoError(t, err, "a directory that is not there holds nothing")
	assert.Empty(t, names)
	_, err = tree.List("/d/a")
	require.Error(t, err, "a file is no directory")
	assert.Equal(t, filepath.Join(root, "d/a"), tree.Path("/d/a"))
}

func TestReadTakesSmallRegularFilesOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree := files.Below(dir)
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	_, err := tree.Read("/fifo")
	require.ErrorIs(t, err, safefile.ErrNotRegular)
	require.NoError(t, os.Truncate(mustCreate(t, filepath.Join(dir, "large")), 2<<20+1))
	_, err = tree.Read("/large")
	require.ErrorIs(t, err, safefile.ErrTooLarge)
}

func mustCreate(t *testing.T, path string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	return path
}
