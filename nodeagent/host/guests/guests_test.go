// SPDX-License-Identifier: Apache-2.0

package guests_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/guests"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

// packed returns a file's content as its name says.
func packed(tb testing.TB, name, content string) []byte {
	tb.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch filepath.Ext(name) {
	case ".gz":
		w = gzip.NewWriter(&out)
	case ".xz":
		w, err = xz.NewWriter(&out)
	case ".zst":
		w, err = zstd.NewWriter(&out)
	default:
		return []byte(content)
	}
	require.NoError(tb, err)
	_, err = io.WriteString(w, content)
	require.NoError(tb, err)
	require.NoError(tb, w.Close())
	return out.Bytes()
}

// kernel puts a kernel with four modules, each compressed in another way, below a directory.
func kernel(t *testing.T, dir, release string, installed time.Time) {
	t.Helper()
	dir = filepath.Join(dir, "usr/lib/modules", release)
	for name, content := range map[string]string{
		"vmlinuz": "an image", "modules.builtin": "kernel/virtio_pci.ko\n", "modules.softdep": "softdep ext4 pre: crc32c\n", "modules.alias": "alias crc32c crc32c_generic\n",
		"modules.dep":       "kernel/fuse.ko.xz:\nkernel/virtiofs.ko.zst: kernel/fuse.ko.xz\nkernel/ext4.ko:\nkernel/crc32c_generic.ko.gz:\n",
		"kernel/fuse.ko.xz": "fuse of " + release, "kernel/virtiofs.ko.zst": "virtiofs of " + release,
		"kernel/ext4.ko": "ext4 of " + release, "kernel/crc32c_generic.ko.gz": "crc32c of " + release,
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, packed(t, name, content), 0o600))
	}
	require.NoError(t, os.Chtimes(dir, installed, installed))
}

// base is 7 bytes long, and so what follows has to be aligned.
const base = "a base\n"

// bench is a host with two kernels and a payload's base initrd.
func bench(t *testing.T) (guests.Builder, files.Tree) {
	t.Helper()
	root := t.TempDir()
	kernel(t, root, "6.12", time.Unix(1000, 0))
	kernel(t, root, "6.13", time.Unix(2000, 0))
	require.NoError(t, os.WriteFile(filepath.Join(root, "base"), []byte(base), 0o600))
	tree := files.Below(root)
	return guests.Builder{Path: tree.Path, Stream: tree.Stream}, tree
}

func order() host.GuestOrder {
	return host.GuestOrder{
		Slot: "s", Kernel: "6.12", Base: "/base", BaseSHA256: "0",
		Modules: []string{"virtio_pci", "virtiofs", "ext4"}, OptionalModules: []string{"9p"},
	}
}

func TestGuestsConform(t *testing.T) {
	t.Parallel()
	b, tree := bench(t)
	o := order()
	o.Slot = ""
	hosttest.ConformGuests(t, hosttest.GuestsBench{Guests: b, Files: tree, Order: o})
}

func TestAnInitrdIsTheBaseAndAnArchiveOfPlainModules(t *testing.T) {
	t.Parallel()
	b, tree := bench(t)
	require.NoError(t, b.Build(t.Context(), order()))
	content, err := os.ReadFile(tree.Path(host.GuestInitrd("s")))
	require.NoError(t, err)
	require.Equal(t, base+"\x00", string(content[:8]), "an archive begins at a multiple of 4 bytes")
	assert.Zero(t, len(content)%4)
	records, err := cpio.ReadAllRecords(cpio.EOFReader{RecordReader: cpio.Newc.Reader(bytes.NewReader(content[8:]))})
	require.NoError(t, err)
	var got []string
	for _, r := range records {
		text, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
		require.NoError(t, err)
		got = append(got, fmt.Sprintf("%o %s %s", r.Mode, r.Name, text))
	}
	const dir = "usr/lib/modules/6.12"
	assert.Equal(t, []string{
		"40755 etc ", "40755 etc/kata-guest ",
		"100644 etc/kata-guest/modules.load /" + dir + "/kernel/fuse.ko\n/" + dir + "/kernel/virtiofs.ko\n/" + dir + "/kernel/crc32c_generic.ko\n/" + dir + "/kernel/ext4.ko\n",
		"40755 usr ", "40755 usr/lib ", "40755 usr/lib/modules ", "40755 " + dir + " ", "40755 " + dir + "/kernel ",
		"100644 " + dir + "/kernel/crc32c_generic.ko crc32c of 6.12", "100644 " + dir + "/kernel/ext4.ko ext4 of 6.12",
		"100644 " + dir + "/kernel/fuse.ko fuse of 6.12", "100644 " + dir + "/kernel/virtiofs.ko virtiofs of 6.12",
		"100644 " + dir + "/modules.dep kernel/fuse.ko:\nkernel/virtiofs.ko: kernel/fuse.ko\nkernel/crc32c_generic.ko:\nkernel/ext4.ko:\n",
	}, got)
}

func TestAnInitrdIsMadeAgainWhereWhatItIsMadeOfChanged(t *testing.T) {
	t.Parallel()
	b, tree := bench(t)
	written := 0
	count := b
	count.Stream = func(path string, content func(io.Writer) error, mode fs.FileMode) error {
		written++
		return tree.Stream(path, content, mode)
	}
	for _, test := range []struct {
		why    string
		change func(o *host.GuestOrder)
		want   int
	}{
		{"new", func(*host.GuestOrder) {}, 2},
		{"the same", func(*host.GuestOrder) {}, 0},
		{"another base", func(o *host.GuestOrder) { o.BaseSHA256 = "1" }, 2},
		{"another list", func(o *host.GuestOrder) { o.Modules = o.Modules[:2] }, 2},
		{"another module", func(*host.GuestOrder) {
			require.NoError(t, os.WriteFile(tree.Path("/usr/lib/modules/6.12/kernel/virtiofs.ko.zst"), packed(t, ".zst", "another"), 0o600))
		}, 2},
		{"no record", func(*host.GuestOrder) { require.NoError(t, tree.Remove(host.GuestDir("s")+"/"+host.GuestRecordFile)) }, 2},
	} {
		o := order()
		test.change(&o)
		written = 0
		require.NoError(t, count.Build(t.Context(), o), test.why)
		assert.Equal(t, test.want, written, test.why)
	}
}

func TestKernelsOfOtherDeploymentsAreFound(t *testing.T) {
	t.Parallel()
	b, tree := bench(t)
	deployment := tree.Path("/ostree/deploy/rhcos/deploy/0123.0")
	kernel(t, deployment, "6.14", time.Unix(3000, 0))
	kernel(t, deployment, "6.12", time.Unix(4000, 0))
	require.NoError(t, os.MkdirAll(tree.Path("/usr/lib/modules/5.0"), 0o755))
	kernels, err := b.Kernels()
	require.NoError(t, err)
	assert.Equal(t, []string{"6.14", "6.13", "6.12"}, kernels, "one without modules.dep is a leftover")
	o := order()
	o.Kernel = "6.14"
	require.NoError(t, b.Build(t.Context(), o))
}

func TestAKernelsImageMayLieInBoot(t *testing.T) {
	t.Parallel()
	b, tree := bench(t)
	require.NoError(t, os.Remove(tree.Path("/usr/lib/modules/6.12/vmlinuz")))
	_, err := b.Image("6.12")
	require.EqualError(t, err, "the image of kernel 6.12 is neither /usr/lib/modules/6.12/vmlinuz nor /boot/vmlinuz-6.12: "+
		"install the running kernel's package again, or reboot into one that is installed")
	require.NoError(t, tree.Write("/boot/vmlinuz-6.12", nil, 0o600))
	image, err := b.Image("6.12")
	require.NoError(t, err)
	assert.Equal(t, "/boot/vmlinuz-6.12", image)
}

func TestWhatCannotBeBuiltIsNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(tree files.Tree, o *host.GuestOrder) error
		want   string
	}{
		"a missing module": {
			func(_ files.Tree, o *host.GuestOrder) error {
				o.Modules = []string{"vmw_vsock_virtio_transport"}
				return nil
			},
			"building the guest for kernel 6.12: module vmw_vsock_virtio_transport is neither built in nor among the modules of kernel 6.12: install the package with the rest of its modules",
		},
		"a kernel without modules": {
			func(_ files.Tree, o *host.GuestOrder) error {
				o.Kernel = "5.0"
				return nil
			},
			"building the guest for kernel 5.0: /usr/lib/modules/5.0 does not have its modules: install the running kernel's package again",
		},
		"a module that is listed and not there": {func(tree files.Tree, _ *host.GuestOrder) error {
			return os.Remove(tree.Path("/usr/lib/modules/6.12/kernel/ext4.ko"))
		}, "kernel/ext4.ko: no such file"},
		"a damaged module": {func(tree files.Tree, _ *host.GuestOrder) error {
			return os.WriteFile(tree.Path("/usr/lib/modules/6.12/kernel/fuse.ko.xz"), []byte("no xz"), 0o600)
		}, "reading usr/lib/modules/6.12/kernel/fuse.ko: "},
		"no base": {func(tree files.Tree, _ *host.GuestOrder) error { return os.Remove(tree.Path("/base")) }, "reading the payload's base initrd: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, tree := bench(t)
			o := order()
			require.NoError(t, test.change(tree, &o))
			require.ErrorContains(t, b.Build(t.Context(), o), test.want)
			_, err := tree.Read(host.GuestInitrd("s"))
			require.ErrorIs(t, err, fs.ErrNotExist)
		})
	}
}

// At each call of the disk it fails or the agent dies, with and without the power: there is no
// initrd, or a whole one, and the next try makes it.
func TestEveryMomentOfABuildLeavesNothingOrTheWhole(t *testing.T) {
	t.Parallel()
	b, tree := bench(t)
	require.NoError(t, b.Build(t.Context(), order()))
	want, err := tree.Read(host.GuestInitrd("s"))
	require.NoError(t, err)
	require.NoError(t, tree.Remove(host.GuestsDir))

	calls := 1 << 10
	for at := 1; at <= calls; at++ {
		for trouble, begin := range map[string]func(d *hosttest.Disk){
			"fails":       func(d *hosttest.Disk) { d.FailAt = at },
			"dies before": func(d *hosttest.Disk) { d.StopBefore = at },
		} {
			for _, dark := range []bool{false, true} {
				disk := hosttest.NewDisk(files.Kernel{}, t.TempDir())
				b.Stream = tree.On(disk).Stream
				begin(disk)
				if b.Build(t.Context(), order()) == nil {
					calls = min(calls, disk.Calls)
				}
				disk.Revive()
				if dark {
					require.NoError(t, disk.LosePower())
				}
				whole(t, tree, want, fmt.Sprintf("%s %d %t", trouble, at, dark))
				require.NoError(t, b.Build(t.Context(), order()))
				require.NoError(t, disk.LosePower())
				got, err := tree.Read(host.GuestInitrd("s"))
				require.NoError(t, err)
				require.Equal(t, want, got, "a build that ended is on disk")
				require.NoError(t, tree.Remove(host.GuestsDir))
			}
		}
	}
	require.Greater(t, calls, 10)
}

// whole fails for an initrd with a record that is not the one that is wanted.
func whole(t *testing.T, tree files.Tree, want []byte, when string) {
	t.Helper()
	if _, err := tree.Read(host.GuestDir("s") + "/" + host.GuestRecordFile); err != nil {
		return
	}
	got, err := tree.Read(host.GuestInitrd("s"))
	require.NoError(t, err, when)
	require.Equal(t, want, got, when)
}

func TestAFullDiskLeavesNoPart(t *testing.T) {
	t.Parallel()
	b, tree := bench(t)
	b.Stream = func(path string, content func(io.Writer) error, mode fs.FileMode) error {
		return tree.Stream(path, func(w io.Writer) error { return content(&full{w, 40}) }, mode)
	}
	err := b.Build(t.Context(), order())
	require.ErrorIs(t, err, unix.ENOSPC)
	require.True(t, strings.HasPrefix(err.Error(), "building the guest for kernel 6.12: writing /var/lib/kata-containers/guest/s/initrd: "), err)
	names, err := tree.List(host.GuestDir("s"))
	require.NoError(t, err)
	assert.Empty(t, names)
}

// full is a disk with so many bytes left.
type full struct {
	w    io.Writer
	left int
}

func (f *full) Write(p []byte) (int, error) {
	if len(p) <= f.left {
		f.left -= len(p)
		return f.w.Write(p)
	}
	n, err := f.w.Write(p[:f.left])
	f.left = 0
	if err == nil {
		err = unix.ENOSPC
	}
	return n, err
}
