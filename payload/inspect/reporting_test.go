// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

func TestEveryVerifiedFileIsReported(t *testing.T) {
	t.Parallel()
	root, m := tree(t)
	var want, got []string
	for _, f := range m.Files {
		if f.Link == "" {
			want = append(want, f.Path)
		}
	}
	var mu sync.Mutex
	require.NoError(t, inspect.TreeReporting(t.Context(), root, m, func(f manifest.File) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, f.Path)
	}))
	slices.Sort(got)
	assert.Equal(t, want, got)
}
