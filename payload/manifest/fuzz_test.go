// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/manifest"
)

func FuzzDecode(f *testing.F) {
	document, err := manifest.Encode(valid())
	require.NoError(f, err)
	f.Add(document)
	f.Add([]byte(`{"version":1,"files":[{"path":"a","link":"../b"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		m, err := manifest.Decode(document)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			require.True(t, filepath.IsLocal(file.Path), file.Path)
			require.False(t, filepath.IsAbs(file.Link), file.Link)
		}
		first, err := manifest.Encode(m)
		require.NoError(t, err)
		again, err := manifest.Decode(first)
		require.NoError(t, err)
		second, err := manifest.Encode(again)
		require.NoError(t, err)
		require.Equal(t, string(first), string(second))
	})
}
