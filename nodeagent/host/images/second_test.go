// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/images"
	"github.com/kata-node/kata-node/nodeagent/host/mounts"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/inspect"
)

const (
	initrd = "usr/share/guest/initrd"
	second = host.StoreDir + "/second"
)

// flip changes one bit of a file, as a disk does.
func flip(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	disk, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = disk.Write(content)
	require.NoError(t, err)
	require.NoError(t, disk.Close())
}

// run mounts a version of the payload as a slot that sandboxes run from.
func (n node) run(t *testing.T, version string) (target string, end func()) {
	t.Helper()
	layers, err := n.store.Layers(t.Context(), n.image(t, version).ID)
	require.NoError(t, err)
	target, kernel := t.TempDir(), mounts.Below("/", "")
	require.NoError(t, kernel.Overlay(layers, target))
	ended := false
	end = func() {
		if !ended {
			unmount(t, kernel, target)
		}
		ended = true
	}
	t.Cleanup(end)
	return target, end
}

func (n node) image(t *testing.T, version string) host.Image {
	t.Helper()
	for _, i := range n.list(t) {
		if i.Version == version {
			return i
		}
	}
	require.Failf(t, "no such version", "%s", version)
	return host.Image{}
}

// verified compares a version with what was built.
func (n node) verified(t *testing.T, p assemble.Payload) error {
	t.Helper()
	target, end := n.run(t, p.Manifest.PayloadVersion)
	defer end()
	return inspect.Tree(t.Context(), target, p.Manifest)
}

// damagedWhileRunning is a node with version 1 in a running slot, and version 2 that shares its
// guest, of which a bit has flipped.
func damagedWhileRunning(t *testing.T) (s *source, n node, p assemble.Payload, two string, end func()) {
	t.Helper()
	s = newSource(t)
	n = newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	p, two = s.publish(t, "2.0.0")
	n.pull(t, one)
	slot, end := n.run(t, "1.0.0")
	flip(t, n.layerFile(t, initrd))
	n.pull(t, two)
	var found *inspect.Mismatch
	require.ErrorAs(t, n.verified(t, p), &found)
	assert.Equal(t, initrd, found.Path)
	require.NoError(t, n.store.Discard(t.Context(), n.image(t, "2.0.0").ID))
	assert.Len(t, n.list(t), 1)
	assert.FileExists(t, filepath.Join(slot, shim), "its sandboxes keep their files")
	s.fetched()
	return s, n, p, two, end
}

func TestDamageUnderARunningSlotIsNotReused(t *testing.T) {
	t.Parallel()
	s, n, p, two, end := damagedWhileRunning(t)
	n.pull(t, two)
	assert.Len(t, s.fetched(), 4, "three layers and a configuration")
	require.NoError(t, n.verified(t, p))
	third, name := s.publish(t, "3.0.0")
	n.pull(t, name)
	assert.Len(t, s.fetched(), 3, "what is sound is shared")

	require.NoError(t, n.store.Prune())
	n.store = images.Below(n.root, host.StoreDir, host.StoreRunDir, "/var/lib/kubelet/config.json")
	require.Len(t, n.list(t), 3, "another process knows all")
	peeked, err := n.store.Peek()
	require.NoError(t, err)
	assert.ElementsMatch(t, n.list(t), peeked)

	end()
	require.NoError(t, n.store.Delete(t.Context(), n.image(t, "1.0.0").ID))
	for _, p := range []assemble.Payload{p, third} {
		require.NoError(t, n.verified(t, p))
	}
	require.NoError(t, n.store.Delete(t.Context(), n.image(t, "2.0.0").ID))
	assert.DirExists(t, n.file(second))
	require.NoError(t, n.store.Delete(t.Context(), n.image(t, "3.0.0").ID))
	assert.NoDirExists(t, n.file(second), "it ends with its last image")
	n.pull(t, two)
	assert.NoDirExists(t, n.file(second), "the first one is as good as new")
	require.NoError(t, n.verified(t, p))
}

func TestDamageInTheSecondStoreIsNotReusedEither(t *testing.T) {
	t.Parallel()
	s, n, p, two, _ := damagedWhileRunning(t)
	n.pull(t, two)
	found, err := filepath.Glob(filepath.Join(n.file(second), "overlay/*/diff", initrd))
	require.NoError(t, err)
	require.Len(t, found, 1)
	flip(t, found[0])
	require.Error(t, n.verified(t, p))
	require.NoError(t, n.store.Discard(t.Context(), n.image(t, "2.0.0").ID))
	assert.Equal(t, "1.0.0", n.list(t)[0].Version)
	s.fetched()
	n.pull(t, two)
	assert.Len(t, s.fetched(), 4)
	assert.NoError(t, n.verified(t, p))
}
