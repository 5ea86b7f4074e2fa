// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/mounts"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

// unmount waits for children of other tests: until they execute their program, they have the open
// files of this process.
func unmount(t *testing.T, kernel mounts.Kernel, target string) {
	t.Helper()
	assert.Eventually(t, func() bool { return kernel.Unmount(target) == nil }, time.Minute, 10*time.Millisecond, target)
}

// mounted mounts an image of the node and compares it with its manifest.
func mounted(t *testing.T, n node, m manifest.Manifest) error {
	t.Helper()
	layers, err := n.store.Layers(t.Context(), n.list(t)[0].ID)
	require.NoError(t, err)
	require.Len(t, layers, 3, "one for each component, and the manifest's")
	kernel := mounts.Below(n.root, "")
	require.NoError(t, kernel.Overlay(layers, "/mnt"))
	defer unmount(t, kernel, "/mnt")
	return inspect.Tree(t.Context(), filepath.Join(n.root, "mnt"), m)
}

func TestLayersMakeThePayload(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, name := s.publish(t, "1.0.0")
	n.pull(t, name)
	require.NoError(t, mounted(t, n, p.Manifest))
	_, err := n.store.Layers(t.Context(), strings.Repeat("a", 64))
	assert.ErrorContains(t, err, "looking up image aaaa")
}
