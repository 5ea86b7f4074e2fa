// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/storage"

	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestDeleteTakesTheImageAndLeavesTheOthers(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	p, two := s.publish(t, "2.0.0")
	n.pull(t, one)
	first := n.list(t)[0].ID
	n.pull(t, two)
	for range 2 {
		require.NoError(t, n.store.Delete(t.Context(), first), "what is gone may be deleted again")
	}
	require.Len(t, n.list(t), 1)
	assert.Equal(t, "2.0.0", n.list(t)[0].Version)
	assert.NoError(t, mounted(t, n, p.Manifest))
}

func TestAPulledImageIsPinned(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.pull(t, name)
	store, err := storage.GetStore(storage.StoreOptions{
		GraphRoot: filepath.Join(n.root, host.StoreDir), RunRoot: filepath.Join(n.root, host.StoreRunDir), GraphDriverName: "overlay",
	})
	require.NoError(t, err)
	_, err = store.DeleteImage(n.list(t)[0].ID, true)
	require.ErrorIs(t, err, storage.ErrImageUsedByContainer, "other users of the library do not take it from under a mount")
	require.NoError(t, n.store.Delete(t.Context(), n.list(t)[0].ID))
	containers, err := store.Containers()
	require.NoError(t, err)
	assert.Empty(t, containers, "and the pin goes with the image")
}

func TestDestroyLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	for range 2 {
		n.pull(t, name)
		require.NoError(t, n.store.Destroy(t.Context()))
		assert.False(t, n.store.Exists())
		assert.NoDirExists(t, filepath.Join(n.root, host.StoreRunDir))
		assert.Empty(t, n.list(t))
	}
	require.NoError(t, n.store.Destroy(t.Context()), "twice is no error")
}

func TestPruneRemovesWhatKilledPullsLeft(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	require.NoError(t, n.store.Prune())
	assert.False(t, n.store.Exists())
	_, name := s.publish(t, "1.0.0")
	n.pull(t, name)
	n.put(t, host.StoreDir+"/downloads/container_images_storage1", "half a layer")
	require.NoError(t, n.store.Prune())
	assert.Empty(t, n.below(t, host.StoreDir+"/downloads"))
	assert.Len(t, n.list(t), 1, "and nothing else")
}

// layers are how many the store has.
func (n node) layers(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(n.root, host.StoreDir, "overlay/*/diff"))
	require.NoError(t, err)
	return len(found)
}

// interrupted is a node with version 1, and with the layers of version 2 but the last one.
func interrupted(t *testing.T) (s *source, n node, two string, whole int) {
	t.Helper()
	s = newSource(t)
	n = newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	second, two := s.publish(t, "2.0.0")
	n.pull(t, one)
	whole = n.layers(t)
	last := second.Layers[len(second.Layers)-1].Digest
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		bad := strings.HasSuffix(r.URL.Path, last)
		if bad {
			w.WriteHeader(http.StatusNotFound)
		}
		return bad
	})
	require.Error(t, n.store.Pull(t.Context(), two, func(host.Progress) {}))
	s.misbehave(nil)
	s.fetched()
	require.Greater(t, n.layers(t), whole, "they stay for the next try")
	return s, n, two, whole
}

func TestLayersOfAPullThatWasGivenUpAreDeleted(t *testing.T) {
	t.Parallel()
	_, n, two, whole := interrupted(t)
	require.NoError(t, n.store.Delete(t.Context(), n.list(t)[0].ID))
	assert.Zero(t, n.layers(t))
	n.pull(t, two)
	assert.Equal(t, whole, n.layers(t))
}

func TestWhatAPullHasLeftIsSweptWhereNothingIsToBePulled(t *testing.T) {
	t.Parallel()
	_, n, two, whole := interrupted(t)
	n.put(t, host.StoreDir+"/overlay/staging/1/file", "a part of a layer")
	for range 2 {
		require.NoError(t, n.store.Sweep())
		assert.Equal(t, whole, n.layers(t))
		assert.Empty(t, n.below(t, host.StoreDir+"/overlay/staging"))
	}
	require.Len(t, n.list(t), 1)
	n.pull(t, two)
	assert.Len(t, n.list(t), 2)

	require.NoError(t, n.store.Destroy(t.Context()))
	require.NoError(t, n.store.Sweep())
	assert.False(t, n.store.Exists(), "it makes no store")
}

// At its start an agent prunes the store.
func TestAPullContinuesWithTheLayersThatHaveCome(t *testing.T) {
	t.Parallel()
	s, n, two, _ := interrupted(t)
	require.NoError(t, n.store.Prune())
	n.pull(t, two)
	assert.Len(t, s.fetched(), 2, "the last layer and the configuration")
}
