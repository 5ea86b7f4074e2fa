// SPDX-License-Identifier: Apache-2.0

package assemble_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/internal/sample"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/transport"
)

// BenchmarkBuildah builds a payload of 258 MB into an OCI layout. The baseline builds the same
// content with buildah: one COPY, and gzip as buildah does it by default. It must not be smaller.
func BenchmarkBuildah(b *testing.B) {
	buildah, err := exec.LookPath("buildah")
	if err != nil || os.Geteuid() != 0 {
		b.Skip("the baseline needs buildah, and root for it")
	}
	tree := b.TempDir()
	sample.Open(b).Write(b, tree, sample.Tree(), nil)
	sample.Put(b, tree, config, []byte("[runtime]\n"))
	sample.Put(b, tree, shim, []byte("a shim"))
	var baseline, own result
	b.Run("baseline", func(b *testing.B) { baseline = measure(b, func(out string) { copyImage(b, buildah, tree, out) }) })
	b.Run("build", func(b *testing.B) {
		own = measure(b, func(out string) { layout(b, tree, out) })
		b.ReportMetric(own.seconds/baseline.seconds, "time-ratio")
		b.ReportMetric(own.size/baseline.size, "size-ratio")
		require.LessOrEqual(b, own.size, baseline.size)
	})
}

// result is the mean of some builds.
type result struct{ seconds, size float64 }

func measure(b *testing.B, build func(out string)) (mean result) {
	b.Helper()
	for b.Loop() {
		out, begin := b.TempDir(), time.Now()
		build(out)
		mean.seconds += time.Since(begin).Seconds()
		b.StopTimer()
		require.NoError(b, filepath.WalkDir(out, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				mean.size += float64(info.Size())
			}
			return err
		}))
		b.StartTimer()
	}
	mean.seconds, mean.size = mean.seconds/float64(b.N), mean.size/float64(b.N)
	b.ReportMetric(mean.size/1e6, "MB")
	return mean
}

func copyImage(b *testing.B, buildah, tree, out string) {
	b.Helper()
	store := b.TempDir()
	file := filepath.Join(store, "Containerfile")
	require.NoError(b, os.WriteFile(file, []byte("FROM scratch\nCOPY . /\n"), 0o600))
	common := []string{"--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run"), "--storage-driver", "vfs"}
	for _, args := range [][]string{
		{"bud", "--quiet", "--isolation", "chroot", "--timestamp", "0", "-f", file, "-t", "payload", tree},
		{"push", "--quiet", "payload", "oci:" + out + ":v1"},
	} {
		text, err := exec.CommandContext(b.Context(), buildah, append(append([]string{}, common...), args...)...).CombinedOutput()
		require.NoError(b, err, string(text))
	}
}

func layout(b *testing.B, tree, out string) {
	b.Helper()
	d := description()
	d.Architecture = runtime.GOARCH
	// Those of the profile self-contained.
	d.Components = []assemble.Component{
		{Name: "firmware", Paths: []string{"opt/kata/share/kata-qemu"}},
		{Name: "qemu", Paths: []string{"opt/kata/bin/qemu*"}},
		{Name: "virtiofsd", Paths: []string{"opt/kata/libexec"}},
		{Name: "kernel", Paths: []string{"opt/kata/share/kata-containers/vmlinuz"}},
		{Name: "guest", Paths: []string{"opt/kata/share/kata-containers/*.img"}},
		{Name: "tools", Paths: []string{"opt/kata/bin/kata-runtime"}},
		{Name: "rest"},
	}
	work := b.TempDir()
	p, err := assemble.Build(b.Context(), assemble.Input{Tree: tree, Description: d, WorkDir: work})
	require.NoError(b, err)
	target, err := transport.ParseTarget("oci:" + out + ":v1")
	require.NoError(b, err)
	_, err = transport.Push(b.Context(), p.Image, target, transport.Options{WorkDir: work})
	require.NoError(b, err)
}
