// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/internal/peak"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

// BenchmarkTree verifies trees that differ in the number of their files: 300 MB in one, and in 654
// as Kata 3.20 has for one hypervisor, and 30,000 small ones. The files are sparse and in the page
// cache. The baseline is the hash of 300 MB in memory, on one core.
func BenchmarkTree(b *testing.B) {
	const size = 300_000_000
	b.Run("baseline", func(b *testing.B) {
		block := make([]byte, 1<<20)
		b.SetBytes(size)
		for b.Loop() {
			sum := sha256.New()
			for left := size; left > 0; left -= len(block) {
				_, err := sum.Write(block[:min(left, len(block))])
				require.NoError(b, err)
			}
		}
	})
	for _, tree := range []struct{ files, size int }{{1, size}, {654, size / 654}, {30_000, 1000}} {
		b.Run(fmt.Sprintf("%dx%d", tree.files, tree.size), func(b *testing.B) {
			root, m := sparse(b, tree.files, int64(tree.size))
			b.SetBytes(int64(tree.files * tree.size))
			b.ReportAllocs()
			peak.Forget(b)
			for b.Loop() {
				require.NoError(b, inspect.Tree(b.Context(), root, m))
			}
			b.ReportMetric(peak.Kilobytes(b), "peak-kB")
		})
	}
}

// What is allocated in all is more than what is ever in use.
func TestATreeIsVerifiedWithoutMemoryForItsFiles(t *testing.T) { //nolint:paralleltest // other tests allocate, too
	root, m := sparse(t, 1, 64_000_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, inspect.Tree(t.Context(), root, m))
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
}

// sparse makes a payload of files without content.
func sparse(tb testing.TB, files int, size int64) (root string, m manifest.Manifest) {
	tb.Helper()
	root = tb.TempDir()
	sum := sha256.New()
	_, err := io.CopyN(sum, zeros{}, size)
	require.NoError(tb, err)
	m.Version = 1
	for i := range files {
		f := manifest.File{Path: fmt.Sprintf("opt/kata/share/%05d", i), Mode: 0o644, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}
		name := filepath.Join(root, f.Path)
		require.NoError(tb, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(tb, os.WriteFile(name, nil, 0o600))
		require.NoError(tb, os.Truncate(name, size))
		require.NoError(tb, os.Chmod(name, 0o644))
		m.Files = append(m.Files, f)
	}
	require.NoError(tb, os.MkdirAll(filepath.Join(root, filepath.Dir(manifest.Path)), 0o755))
	require.NoError(tb, os.WriteFile(filepath.Join(root, manifest.Path), nil, 0o600))
	require.NoError(tb, os.Chmod(filepath.Join(root, manifest.Path), 0o644))
	return root, m
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
