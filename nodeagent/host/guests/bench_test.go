// SPDX-License-Identifier: Apache-2.0

package guests_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/guests"
)

// target is how many times faster than dracut a guest is made.
const target = 5

// modulesOfKata are those that a guest of Kata needs of a distribution's kernel.
func modulesOfKata() []string {
	return strings.Fields("virtio_pci virtio_console vmw_vsock_virtio_transport virtiofs overlay virtio_net virtio_blk ext4 nf_tables nft_compat iptable_nat xt_MASQUERADE xt_conntrack af_packet veth bridge")
}

// debian returns a root directory with a kernel of Debian: this machine's, or that of the tree that
// tests on emulated nodes make, and the kernel's release.
func debian(b *testing.B) (root, release string) {
	b.Helper()
	for _, root := range []string{"/", "../../../.cache/bed/base-*"} {
		found, err := filepath.Glob(filepath.Join(root, "usr/lib/modules/*/modules.dep"))
		require.NoError(b, err)
		if len(found) > 0 {
			dir := filepath.Dir(found[0])
			root, err = filepath.Abs(filepath.Join(dir, "../../../.."))
			require.NoError(b, err)
			return root, filepath.Base(dir)
		}
	}
	b.Skip("no kernel with modules: install linux-image-cloud-amd64, or run `go test ./suites/emulated` in test/ once, as root")
	return "", ""
}

// compressed returns a root directory with the modules that are in a guest's initrd, each
// compressed with xz, as RHEL 9 has them.
func compressed(b *testing.B, root, release, initrd string) string {
	b.Helper()
	content, err := os.ReadFile(initrd)
	require.NoError(b, err)
	records, err := cpio.ReadAllRecords(cpio.EOFReader{RecordReader: cpio.Newc.Reader(bytes.NewReader(content[baseSize:]))})
	require.NoError(b, err)
	out := b.TempDir()
	write := func(name string, content []byte) {
		file := filepath.Join(out, name)
		require.NoError(b, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(b, os.WriteFile(file, content, 0o600))
	}
	for _, r := range records {
		if strings.HasSuffix(r.Name, ".ko") {
			module, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
			require.NoError(b, err)
			write(r.Name+".xz", packed(b, ".xz", string(module)))
		}
	}
	dir := filepath.Join("usr/lib/modules", release)
	for _, index := range []string{"modules.dep", "modules.builtin", "modules.softdep", "modules.alias"} {
		text, err := os.ReadFile(filepath.Join(root, dir, index))
		require.NoError(b, err)
		if index == "modules.dep" {
			text = bytes.ReplaceAll(text, []byte(".ko"), []byte(".ko.xz"))
		}
		write(filepath.Join(dir, index), text)
	}
	return out
}

// baseSize is that of the base initrd, in bytes.
const baseSize = 8 << 20

// build makes a guest from the kernel below a root directory, as if it were never made before
// unless it may be cached.
func build(b *testing.B, tree files.Tree, root, release string, cached bool) {
	b.Helper()
	if !cached {
		require.NoError(b, tree.Remove(host.GuestsDir))
	}
	builder := guests.Builder{Stream: tree.Stream, Path: func(path string) string {
		if strings.HasPrefix(path, "/var/") {
			return tree.Path(path)
		}
		return filepath.Join(root, path)
	}}
	order := host.GuestOrder{Slot: "s", Kernel: release, Base: "/var/base", BaseSHA256: "0", Modules: modulesOfKata()}
	require.NoError(b, builder.Build(b.Context(), order))
}

// The guest of a slot, flushed to disk, from a Debian kernel's modules and a base initrd of 8 MB.
// The baseline is dracut with the same modules and no more than its own base, in the same run.
func BenchmarkGuest(b *testing.B) {
	root, release := debian(b)
	out := b.TempDir()
	tree := files.Below(out)
	require.NoError(b, tree.Write("/var/base", make([]byte, baseSize), 0o600))
	ours := measure(b, "agent", func() { build(b, tree, root, release, false) })
	measure(b, "agent-cached", func() { build(b, tree, root, release, true) })
	if ours == 0 {
		return // another one was asked for
	}
	xz := compressed(b, root, release, tree.Path(host.GuestInitrd("s")))
	slowest := measure(b, "agent-xz", func() { build(b, tree, xz, release, false) })
	dracut, err := exec.LookPath("dracut")
	if err != nil {
		b.Log("dracut is not there, so there is nothing to compare with: apt-get install --no-install-recommends dracut-core")
		return
	}
	theirs := measure(b, "dracut", func() {
		command := exec.CommandContext(b.Context(), dracut, "--force", "--quiet", "--no-hostonly", "--no-hostonly-cmdline", "--no-early-microcode", "--reproducible", "--no-compress",
			"--kmoddir", filepath.Join(root, "usr/lib/modules", release), "--modules", "base kernel-modules", "--drivers", strings.Join(modulesOfKata(), " "),
			filepath.Join(out, "dracut.initrd"), release)
		said, err := command.CombinedOutput()
		require.NoError(b, err, string(said))
	})
	b.Run("ratio", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(theirs.Seconds()/ours.Seconds(), "dracut/agent")
		b.ReportMetric(theirs.Seconds()/slowest.Seconds(), "dracut/agent-xz")
		require.Greater(b, theirs, target*ours)
	})
}

// measure returns how long one call takes.
func measure(b *testing.B, name string, do func()) time.Duration {
	b.Helper()
	var each time.Duration
	b.Run(name, func(b *testing.B) {
		for b.Loop() {
			do()
		}
		each = b.Elapsed() / time.Duration(b.N)
	})
	return each
}
