// SPDX-License-Identifier: Apache-2.0

package assemble_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
)

// BenchmarkBuild builds a payload with a guest of 32 MiB that does not compress, the worst case.
func BenchmarkBuild(b *testing.B) {
	const size = 32 << 20
	root := b.TempDir()
	guest := make([]byte, size)
	_, err := rand.NewChaCha8([32]byte{}).Read(guest)
	require.NoError(b, err)
	for path, content := range map[string][]byte{shim: []byte("a shim"), config: []byte("[runtime]\n"), "usr/share/guest/initrd": guest} {
		name := filepath.Join(root, path)
		require.NoError(b, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(b, os.WriteFile(name, content, 0o700))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		_, err := assemble.Build(b.Context(), assemble.Input{Tree: root, Description: description(), WorkDir: b.TempDir()})
		require.NoError(b, err)
	}
}
