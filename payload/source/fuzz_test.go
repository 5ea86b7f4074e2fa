// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/source"
)

// FuzzParse: whatever the text, an answer of one line, and what is accepted can be looked up.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("../sources.toml")
	require.NoError(f, err)
	f.Add(string(text))
	f.Add(head + "[[directories]]\ncomponent = \"extra\"\ndirectory = \"extra\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := source.Parse([]byte(text))
		if err != nil {
			require.NotContains(t, strings.TrimSpace(err.Error()), "\n")
			return
		}
		for _, a := range s.Archives {
			require.NotEmpty(t, a.String())
			_, err := s.Archive(a.Architecture, strings.ReplaceAll(a.Shim, source.ShimBoth, source.ShimGo))
			require.NoError(t, err)
		}
	})
}

func TestTheDeclarationOfThisRepositoryIsValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../sources.toml")
	require.NoError(t, err)
	s, err := source.Parse(text)
	require.NoError(t, err)
	for _, shim := range []string{source.ShimGo, source.ShimRuntimeRS} {
		a, err := s.Archive("amd64", shim)
		require.NoError(t, err)
		require.NotEmpty(t, a.SHA256)
	}
}
