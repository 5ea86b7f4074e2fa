// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/internal/sample"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
)

// update is a change of one file of a payload, and how much of the whole image it may fetch.
type update struct {
	name, file string
	most       float64
}

// mostContent is how many bytes of files an update may write for each byte of a file that changed.
const mostContent = 1.3

func updates() []update {
	return []update{
		{"configuration", config, 0.01},
		{"shim", shim, 0.15},
		{"vmm", "opt/kata/bin/qemu-system-x86_64", 0.25},
		{"guest", "opt/kata/share/kata-containers/kata-containers.img", 0.70},
		{"lowest", "opt/kata/share/kata-qemu/qemu/firmware-7.bin", 0.70},
	}
}

// components are in order of change rate.
func components() []assemble.Component {
	return []assemble.Component{
		{Name: "firmware", Paths: []string{"opt/kata/share/kata-qemu"}},
		{Name: "tools", Paths: []string{"opt/kata/bin/kata-runtime"}},
		{Name: "vmm", Paths: []string{"opt/kata/bin/qemu*", "opt/kata/libexec"}},
		{Name: "guest", Paths: []string{"opt/kata/share/kata-containers"}},
		{Name: "shim", Paths: []string{"usr/bin"}},
		{Name: "config"},
	}
}

// BenchmarkUpdate pulls five updates of a payload of 293 MB into a store that has the version
// before them. The baseline is what an installer that copies does for any of them: the same content
// in one gzip layer, pulled by the same code, and copied.
func BenchmarkUpdate(b *testing.B) {
	s, content := newSource(b), sample.Open(b)
	n := newNode(b, s)
	first, name := s.sampled(b, content, update{}, assemble.Input{})
	n.pull(b, name)
	b.Run("baseline", func(b *testing.B) {
		in := assemble.Input{Compression: assemble.Gzip, Description: assemble.Description{Components: []assemble.Component{{Name: "all"}}}}
		_, name := s.sampled(b, content, update{}, in)
		n.measure(b, s, name, func() { n.pull(b, name); n.copyOut(b) })
	})
	for _, u := range updates() {
		b.Run(u.name, func(b *testing.B) {
			second, name := s.sampled(b, content, u, assemble.Input{})
			got := n.measure(b, s, name, func() { n.pull(b, name) })
			share, ratio := got.wire/size(first), got.content/changed(b, second, u.file)
			b.ReportMetric(100*share, "wire-%")
			b.ReportMetric(ratio, "content/changed")
			wire, written := s.predicted(b, first, second)
			b.ReportMetric(got.wire/wire, "wire/predicted")
			b.ReportMetric(got.content/written, "content/predicted")
			require.LessOrEqual(b, share, u.most)
			require.LessOrEqual(b, ratio, mostContent)
		})
	}
}

// sampled publishes the payload with one file of a second version.
func (s *source) sampled(b *testing.B, content sample.Source, u update, in assemble.Input) (assemble.Payload, string) {
	b.Helper()
	in.Tree = b.TempDir()
	content.Write(b, in.Tree, sample.Tree(), map[string]string{u.file: "2"})
	comment := strings.Repeat("# a comment of a configuration\n", 1000)
	sample.Put(b, in.Tree, config, []byte("[runtime]\n"+comment))
	if u.file == config {
		sample.Put(b, in.Tree, config, []byte("[runtime]\n"+strings.ToUpper(comment)))
	}
	if in.Description.Components == nil {
		in.Description.Components = components()
	}
	in.Description.Version, in.Description.Architecture = "1", runtime.GOARCH
	return s.build(b, in)
}

func size(p assemble.Payload) (sum float64) {
	for _, l := range p.Layers {
		sum += float64(l.Size)
	}
	return sum
}

// changed is the size of a file and of the manifest, which changes with it.
func changed(b *testing.B, p assemble.Payload, file string) float64 {
	b.Helper()
	document, err := manifest.Encode(p.Manifest)
	require.NoError(b, err)
	for _, f := range p.Manifest.Files {
		if f.Path == file {
			return float64(f.Size) + float64(len(document))
		}
	}
	b.Fatalf("no file %s", file)
	return 0
}

// moved is what one update moves, in bytes.
type moved struct{ wire, written, content float64 }

// measure updates again and again from the first version. Written is what this process and its
// children let the disk write, the store's records included (ru_oublock); content is what new files
// of layers have of it.
func (n node) measure(b *testing.B, s *source, name string, update func()) (one moved) {
	b.Helper()
	for b.Loop() {
		known, written := n.inodes(b), dirtied(b)
		s.wire.Store(0)
		update()
		one.wire += float64(s.wire.Load())
		one.written += dirtied(b) - written
		for inode, bytes := range n.inodes(b) {
			if _, before := known[inode]; !before {
				one.content += bytes
			}
		}
		b.StopTimer()
		for _, image := range n.list(b) {
			if strings.HasSuffix(name, image.Platform) {
				require.NoError(b, n.store.Delete(b.Context(), image.ID))
			}
		}
		b.StartTimer()
	}
	count := float64(b.N)
	one = moved{one.wire / count, one.written / count, one.content / count}
	b.ReportMetric(one.wire/1e6, "wire-MB")
	b.ReportMetric(one.written/1e6, "written-MB")
	return one
}

// inodes are the files of all layers, with what they take of the disk.
func (n node) inodes(tb testing.TB) map[uint64]float64 {
	tb.Helper()
	found := map[uint64]float64{}
	require.NoError(tb, filepath.WalkDir(filepath.Join(n.root, host.StoreDir, "overlay"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.Contains(file, "/diff/") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			stat := info.Sys().(*syscall.Stat_t) //nolint:errcheck,forcetypeassert // On Linux it is one.
			found[stat.Ino] = float64(512 * stat.Blocks)
		}
		return err
	}))
	return found
}

func dirtied(b *testing.B) float64 {
	b.Helper()
	var self, children unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &self))
	require.NoError(b, unix.Getrusage(unix.RUSAGE_CHILDREN, &children))
	return 512 * float64(self.Oublock+children.Oublock)
}

// copyOut copies the largest layer, as an installer does, and flushes the copy.
func (n node) copyOut(b *testing.B) {
	b.Helper()
	out := b.TempDir()
	found, err := filepath.Glob(filepath.Join(n.root, host.StoreDir, "overlay/*/diff", "opt/kata/bin/kata-runtime"))
	require.NoError(b, err)
	for _, file := range found {
		layer, _, _ := strings.Cut(file, "/diff/")
		if _, err := os.Stat(filepath.Join(layer, "diff", shim)); err != nil {
			continue // It is one of several.
		}
		require.NoError(b, exec.CommandContext(b.Context(), "cp", "-a", "--reflink=never", layer+"/diff/.", out).Run())
	}
	require.NoError(b, exec.CommandContext(b.Context(), "sync", "-f", out).Run())
}
