// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/mounts"
	"github.com/kata-node/kata-node/payload/inspect"
)

func TestADamagedImageIsDiscardedAndPulledAnew(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, name := s.publish(t, "1.0.0")
	n.pull(t, name)
	s.fetched()
	require.NoError(t, os.WriteFile(n.layerFile(t, shim), []byte("shim 1.0.1"), 0o755))
	var mismatch *inspect.Mismatch
	require.ErrorAs(t, mounted(t, n, p.Manifest), &mismatch)
	assert.Equal(t, shim, mismatch.Path)

	n.pull(t, name)
	assert.Len(t, s.fetched(), 1, "a pull alone would not notice")
	require.NoError(t, n.store.Discard(t.Context(), n.list(t)[0].ID))
	assert.Empty(t, n.list(t))
	n.pull(t, name)
	assert.Len(t, s.fetched(), 4)
	assert.NoError(t, mounted(t, n, p.Manifest))
}

func TestDamageInASharedLayerIsNotReused(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	p, two := s.publish(t, "2.0.0")
	n.pull(t, one)
	n.pull(t, two)
	require.NoError(t, os.WriteFile(n.layerFile(t, "usr/share/guest/initrd"), []byte("nothing"), 0o755))
	for _, i := range n.list(t) {
		if i.Version == "2.0.0" {
			require.NoError(t, n.store.Discard(t.Context(), i.ID))
		}
	}
	assert.Empty(t, n.list(t), "the other one has the same damage")
	n.pull(t, two)
	assert.NoError(t, mounted(t, n, p.Manifest))
}

func TestDamageInASharedLayerTakesNothingFromAMountedVersion(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	_, two := s.publish(t, "2.0.0")
	n.pull(t, one)
	n.pull(t, two)
	require.NoError(t, os.WriteFile(n.layerFile(t, "usr/share/guest/initrd"), []byte("nothing"), 0o755))
	images := n.list(t)
	serving := slices.IndexFunc(images, func(i host.Image) bool { return i.Version == "1.0.0" })
	layers, err := n.store.Layers(t.Context(), images[serving].ID)
	require.NoError(t, err)
	target := t.TempDir()
	require.NoError(t, mounts.Below("/", "").Overlay(layers, target))
	t.Cleanup(func() { unmount(t, mounts.Below("/", ""), target) })
	require.NoError(t, n.store.Discard(t.Context(), images[1-serving].ID))
	assert.Equal(t, "1.0.0", n.list(t)[0].Version)
	assert.FileExists(t, target+"/usr/bin/containerd-shim-kata-v2")
}

func TestAnImageWhoseRecordIsDamagedIsNobodys(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.pull(t, name)
	id := n.list(t)[0].ID
	records, err := filepath.Glob(filepath.Join(n.root, host.StoreDir, "overlay-images", id, "=*"))
	require.NoError(t, err)
	require.NotEmpty(t, records)
	for _, record := range records {
		require.NoError(t, os.WriteFile(record, []byte("{}"), 0o600))
	}
	assert.Equal(t, []host.Image{{ID: id}}, n.list(t))
	require.NoError(t, n.store.Discard(t.Context(), id))
	n.pull(t, name)
	assert.Equal(t, "1.0.0", n.list(t)[0].Version)
}
