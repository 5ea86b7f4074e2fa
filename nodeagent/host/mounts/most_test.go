// SPDX-License-Identifier: Apache-2.0

package mounts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host/mounts"
)

// A layer of the agent's store has a name of 109 bytes.
func TestTheNumberOfLayersIsLimitedByTheKernel(t *testing.T) {
	t.Parallel()
	const label = "system_u:object_r:container_runtime_exec_t:s0"
	for _, c := range []struct {
		what       string
		calls      bool
		page, name int
		context    string
		want       int
	}{
		{what: "one by one", calls: true, page: 4096, name: 109, want: 500},
		{what: "one string of a page", page: 4096, name: 109, want: 37},
		{what: "with an SELinux context", page: 4096, name: 109, context: label, want: 36},
		{what: "a larger page", page: 65536, name: 109, want: 500},
		{what: "a page that one layer fills", page: 4096, name: 4086, want: 1},
		{what: "a page that no layer fits in", page: 4096, name: 4087, want: 0},
	} {
		assert.Equal(t, c.want, mounts.MostLayers(c.calls, c.page, c.context, c.name), c.what)
	}
}

// limit makes layers whose names are so long that the mount string has the last byte of a page.
func (b bench) limit(t *testing.T) []string {
	t.Helper()
	var layers []string
	for i := range mounts.MostLayers(false, os.Getpagesize(), "", len(b.root)+100) {
		name := fmt.Sprintf("%03d%s", i, strings.Repeat("x", 96))
		layers = append(layers, b.layer(t, name, map[string]string{fmt.Sprint(i): "x"}))
	}
	return layers
}

func TestTheStringsLimitIsThatOfTheKernel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.unmount(t)
	layers := b.limit(t)
	point := filepath.Join(b.root, target)
	require.NoError(t, os.MkdirAll(point, 0o755))
	require.NoError(t, mounts.MountByString(layers, point, ""))
	assert.Equal(t, "x", b.read(t, fmt.Sprint(len(layers)-1)))
	require.NoError(t, b.kernel.Unmount(target))

	more := append(layers, b.layer(t, "000"+strings.Repeat("y", 96), map[string]string{"more": "x"}))
	require.ErrorIs(t, mounts.MountByString(more, point, ""), unix.E2BIG)
	if b.kernel.MostLayers(110) > len(more) {
		require.NoError(t, b.kernel.Overlay(more, target), "layers that are given one by one")
	}
}
