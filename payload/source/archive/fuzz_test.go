// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/source/archive"
)

// FuzzArchive: whatever the bytes, nothing is written outside the root, and what passes the survey
// is extracted as it was listed.
func FuzzArchive(f *testing.F) {
	f.Add(pack(f, kata()...))
	f.Add(pack(f, hard("a", "../b"), link("c", "../../d"), dir("../e"), file("/f", "x")))
	f.Add(pack(f, attributed("p", "SCHILY.xattr.security.capability")))
	f.Fuzz(func(t *testing.T, content []byte) {
		limits := archive.Limits{Entries: 100, File: 1 << 16, Total: 1 << 20, Ratio: 10}
		source := write(t, content)
		list, _, err := archive.Survey(t.Context(), source, limits, nil)
		if err != nil {
			return
		}
		parent := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(parent, "root"), 0o700))
		root, err := os.OpenRoot(filepath.Join(parent, "root"))
		require.NoError(t, err)
		defer root.Close()
		_, err = archive.Extract(t.Context(), source, limits, list, list, root)
		require.NoError(t, err)
		found := 0
		require.NoError(t, fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				found++
				_, listed := list.Entry(name)
				require.True(t, listed, name)
			}
			return err
		}))
		require.Len(t, list, found)
		beside, err := os.ReadDir(parent)
		require.NoError(t, err)
		require.Len(t, beside, 1)
	})
}
