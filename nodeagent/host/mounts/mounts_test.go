// SPDX-License-Identifier: Apache-2.0

package mounts_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host/mounts"
)

const target = "/run/versions/v1/payload"

// bench is a root with layers to mount in it.
type bench struct {
	root   string
	kernel mounts.Kernel
}

func newBench(t *testing.T) bench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return bench{root, mounts.Below(root, "")}
}

// layer makes a directory with files.
func (b bench) layer(t *testing.T, name string, content map[string]string) string {
	t.Helper()
	for file, text := range content {
		path := filepath.Join(b.root, name, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	}
	return filepath.Join(b.root, name)
}

// unmount takes everything off the target when the test ends.
func (b bench) unmount(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		points, err := b.kernel.Below("/", 0)
		require.NoError(t, err)
		for _, point := range points {
			assert.NoError(t, b.kernel.Unmount(point))
		}
	})
}

func (b bench) read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(b.root, target, file))
	require.NoError(t, err)
	return string(content)
}

func TestUpperLayersLieOverLowerOnes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.unmount(t)
	layers := []string{
		b.layer(t, "top", map[string]string{"both": "top", "dir/a": "1"}),
		b.layer(t, "middle", map[string]string{"both": "middle", "middle": "m"}),
		b.layer(t, "bottom", map[string]string{"both": "bottom", "dir/b": "2"}),
	}
	require.NoError(t, b.kernel.Overlay(layers, target))
	assert.Equal(t, "top", b.read(t, "both"))
	assert.Equal(t, "m", b.read(t, "middle"))
	assert.Equal(t, "12", b.read(t, "dir/a")+b.read(t, "dir/b"))
}

func TestASingleLayerCanBeMounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.unmount(t)
	layers := make([]string, 1, 2)
	layers[0] = b.layer(t, "only", map[string]string{"file": "x"})
	require.NoError(t, b.kernel.Overlay(layers, target))
	assert.Equal(t, "x", b.read(t, "file"))
	assert.Empty(t, layers[:2][1], "the caller's list is left alone")
}

func TestAMountIsReadOnlyWithoutDevicesAndSetuid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.unmount(t)
	require.NoError(t, b.kernel.Overlay([]string{b.layer(t, "only", map[string]string{"file": "x"})}, target))
	require.ErrorIs(t, os.WriteFile(filepath.Join(b.root, target, "new"), nil, 0o600), unix.EROFS)
	require.ErrorIs(t, os.Remove(filepath.Join(b.root, target, "file")), unix.EROFS)
	assertGuarded(t, filepath.Join(b.root, target))
}

func assertGuarded(t *testing.T, point string) {
	t.Helper()
	var s unix.Statfs_t
	require.NoError(t, unix.Statfs(point, &s))
	want := int64(unix.ST_RDONLY | unix.ST_NODEV | unix.ST_NOSUID)
	assert.Equal(t, want, s.Flags&(want|unix.ST_NOEXEC), "and programs may run")
}

func TestBothWaysOfMountingAreEqual(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	layers := []string{b.layer(t, "top", map[string]string{"both": "top"}), b.layer(t, "bottom", map[string]string{"both": "bottom", "b": "2"})}
	point := filepath.Join(b.root, target)
	require.NoError(t, os.MkdirAll(point, 0o755))
	for name, mount := range map[string]func([]string, string, string) error{"by calls": mounts.MountByCalls, "by one string": mounts.MountByString} {
		require.NoError(t, mount(layers, point, ""), name)
		assert.Equal(t, "top2", b.read(t, "both")+b.read(t, "b"), name)
		assertGuarded(t, point)
		require.NoError(t, b.kernel.Unmount(target), name)
	}
}

// A child has the open files of its parent until it executes its program, and would make the mount
// of another test busy: this test runs before those that run in parallel.
func TestAMountInUseStays(t *testing.T) { //nolint:paralleltest // see above
	b := newBench(t)
	b.unmount(t)
	cat, err := exec.LookPath("cat")
	require.NoError(t, err)
	program, err := os.ReadFile(cat)
	require.NoError(t, err)
	require.NoError(t, b.kernel.Overlay([]string{b.layer(t, "only", map[string]string{"shim": string(program)})}, target))

	shim := exec.CommandContext(t.Context(), filepath.Join(b.root, target, "shim"))
	input, err := shim.StdinPipe()
	require.NoError(t, err)
	output, err := shim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, shim.Start())
	_, err = input.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(output, make([]byte, 1))
	require.NoError(t, err, "the shim runs")

	require.ErrorIs(t, b.kernel.Unmount(target), unix.EBUSY)
	assert.FileExists(t, filepath.Join(b.root, target, "shim"))
	require.NoError(t, input.Close())
	require.NoError(t, shim.Wait())
	require.NoError(t, b.kernel.Unmount(target))
	assert.NoFileExists(t, filepath.Join(b.root, target, "shim"))
}

func TestBelowListsMountsOfADirectoryInAnyNamespace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.unmount(t)
	layers := []string{b.layer(t, "only", map[string]string{"file": "x"})}
	for _, id := range []string{"v1", "v10"} {
		require.NoError(t, b.kernel.Overlay(layers, "/run/versions/"+id+"/payload"))
	}
	for dir, want := range map[string][]string{
		"/run/versions":            {"/run/versions/v1/payload", "/run/versions/v10/payload"},
		"/run/versions/v1":         {"/run/versions/v1/payload"},
		"/run/versions/v1/payload": {"/run/versions/v1/payload"},
		"/run/versions/v2":         nil,
	} {
		for _, pid := range []int{0, os.Getpid()} {
			points, err := b.kernel.Below(dir, pid)
			require.NoError(t, err)
			assert.ElementsMatch(t, want, points, dir)
		}
	}
	_, err := b.kernel.Below("/run", 1<<30)
	assert.ErrorContains(t, err, "reading the mounts of process 1073741824")
}

func TestNamespaceIsComparedWithThatOfTheFirstProcess(t *testing.T) {
	t.Parallel()
	first, err := os.Readlink("/proc/1/ns/mnt")
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("the first process of this machine may not be looked at")
	}
	require.NoError(t, err)
	own, err := os.Readlink("/proc/self/ns/mnt")
	require.NoError(t, err)
	private, err := mounts.Below("/", "").Private()
	require.NoError(t, err)
	assert.Equal(t, own != first, private)
}

func TestWhatCannotBeMountedIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	err := b.kernel.Overlay([]string{b.layer(t, "only", map[string]string{"f": ""}), filepath.Join(b.root, "gone")}, target)
	require.ErrorContains(t, err, "mounting 2 layers at "+filepath.Join(b.root, target))
	require.ErrorIs(t, err, unix.ENOENT)
	mounted, err := mountinfo.Mounted(filepath.Join(b.root, target))
	require.NoError(t, err)
	assert.False(t, mounted)
	require.ErrorContains(t, b.kernel.Unmount(target), "unmounting ")
}

// A kernel without SELinux takes no label, as one with it takes none that its policy does not know.
func TestALabelThatTheKernelRefusesIsNamed(t *testing.T) {
	t.Parallel()
	const label = "system_u:object_r:unknown_t:s0"
	b := newBench(t)
	err := mounts.Below(b.root, label).Overlay([]string{b.layer(t, "only", map[string]string{"f": ""})}, target)
	require.ErrorContains(t, err, "mounting 2 layers at "+filepath.Join(b.root, target)+": with the SELinux context "+label)
	require.ErrorIs(t, err, unix.EINVAL)
}
