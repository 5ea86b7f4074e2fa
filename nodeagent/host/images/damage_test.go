// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/mounts"
)

const imageRecords = host.StoreDir + "/overlay-images/images.json"

// closed is a node with one image whose store nobody has open, as at the agent's start.
func closed(t *testing.T) (n node, name string) {
	t.Helper()
	s := newSource(t)
	n = newNode(t, s)
	_, name = s.publish(t, "1.0.0")
	n.pull(t, name)
	require.NoError(t, n.store.Prune())
	return n, name
}

func TestAStoreWhoseRecordsAreTornIsGivenUp(t *testing.T) {
	t.Parallel()
	n, name := closed(t)
	n.put(t, imageRecords, "[{")
	require.ErrorContains(t, n.store.Prune(), "overlay-images/images.json")
	assert.False(t, n.store.Exists())
	n.pull(t, name)
	assert.Len(t, n.list(t), 1)
}

func TestATornStoreStaysWhileALayerOfItIsMounted(t *testing.T) {
	t.Parallel()
	n, _ := closed(t)
	layers, err := n.store.Layers(t.Context(), n.list(t)[0].ID)
	require.NoError(t, err)
	require.NoError(t, n.store.Prune())
	kernel := mounts.Below(n.root, "")
	require.NoError(t, kernel.Overlay(layers, "/mnt"))
	t.Cleanup(func() { unmount(t, kernel, "/mnt") })
	n.put(t, imageRecords, "[{")
	require.ErrorContains(t, n.store.Prune(), "overlay-images/images.json")
	assert.DirExists(t, layers[0])
}

func TestAStoreThatOnlyThisTryCannotReadStays(t *testing.T) {
	t.Parallel()
	n, _ := closed(t)
	records := filepath.Join(n.root, imageRecords)
	require.NoError(t, os.Rename(records, records+".aside"))
	require.NoError(t, os.Mkdir(records, 0o700))
	require.ErrorContains(t, n.store.Prune(), "is a directory")
	require.NoError(t, os.Remove(records))
	require.NoError(t, os.Rename(records+".aside", records))
	assert.Len(t, n.list(t), 1)
}

func TestALayerThatTheRecordsNoLongerKnowIsMissing(t *testing.T) {
	t.Parallel()
	n, _ := closed(t)
	image := n.list(t)[0].ID
	require.NoError(t, n.store.Prune())
	n.put(t, host.StoreDir+"/overlay-layers/layers.json", "[]")
	_, err := n.store.Layers(t.Context(), image)
	require.ErrorIs(t, err, fs.ErrNotExist, "which is damage, and does not pass")
}

func TestThatOverlayDoesNotWorkIsNotBelievedForEver(t *testing.T) {
	t.Parallel()
	n, _ := closed(t)
	n.put(t, host.StoreRunDir+"/overlay/overlay-false", "kernel does not support overlay fs: no space left on device")
	require.NoError(t, os.Remove(filepath.Join(n.root, host.StoreRunDir, "overlay", "overlay-true")))
	_, err := n.store.List(t.Context())
	require.ErrorContains(t, err, "no space left on device")
	assert.Len(t, n.list(t), 1, "the next try finds out anew")
}
