// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/mounts"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

// TestMain lets the library call this program again to unpack layers.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	// Under the race detector, each of those would sleep for a second before it ends.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestWhatWasPulledIsListed(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	assert.Empty(t, n.list(t))
	assert.False(t, n.store.Exists(), "looking makes no store")

	p, name := s.publish(t, "1.0.0")
	last := host.Progress{}
	require.NoError(t, n.store.Pull(t.Context(), name, func(now host.Progress) { last = now }))
	assert.Positive(t, last.Done)
	assert.Equal(t, last.Total, last.Done)

	document, err := manifest.Encode(p.Manifest)
	require.NoError(t, err)
	id, err := p.Image.ConfigName()
	require.NoError(t, err)
	assert.Equal(t, []host.Image{{ID: id.Hex, Digests: []string{p.Digest}, Platform: p.Digest, Manifest: manifest.Digest(document), Version: "1.0.0"}}, n.list(t))
	assert.True(t, n.store.Exists())
	assert.Empty(t, n.below(t, host.StoreDir+"/downloads"))
}

// unmount waits for children of other tests: until they execute their program, they have the open
// files of this process.
func unmount(t *testing.T, kernel mounts.Kernel, target string) {
	t.Helper()
	assert.Eventually(t, func() bool { return kernel.Unmount(target) == nil }, 10*time.Second, 10*time.Millisecond, target)
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

func TestWhatIsThereIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	_, two := s.publish(t, "2.0.0")
	n.pull(t, one)
	assert.Len(t, s.fetched(), 4, "three layers and a configuration")
	n.pull(t, one)
	assert.Len(t, s.fetched(), 1, "the configuration, to compare")
	n.pull(t, two)
	assert.Len(t, s.fetched(), 3, "all but the guest, which they share")
	assert.Len(t, n.list(t), 2)
}

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

func TestLayersOfAPullThatWasGivenUpAreDeleted(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	second, two := s.publish(t, "2.0.0")
	count := func() int {
		found, err := filepath.Glob(filepath.Join(n.root, host.StoreDir, "overlay/*/diff"))
		require.NoError(t, err)
		return len(found)
	}
	n.pull(t, one)
	whole := count()
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
	require.Greater(t, count(), whole, "they stay for the next try")
	require.NoError(t, n.store.Delete(t.Context(), n.list(t)[0].ID))
	assert.Zero(t, count())
	n.pull(t, two)
	assert.Equal(t, whole, count())
}

func TestATamperedBlobIsRefused(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, name := s.publish(t, "1.0.0")
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, p.Layers[0].Digest) {
			return false
		}
		layers, err := p.Image.Layers()
		assert.NoError(t, err)
		blob, err := layers[0].Compressed()
		assert.NoError(t, err)
		content, err := io.ReadAll(blob)
		assert.NoError(t, err)
		content[len(content)/2] ^= 1
		_, err = w.Write(content)
		assert.NoError(t, err)
		return true
	})
	err := n.store.Pull(t.Context(), name, func(host.Progress) {})
	require.ErrorContains(t, err, "pulling payload "+`"`+name+`"`)
	assert.Empty(t, n.list(t))
	assert.Empty(t, n.below(t, host.StoreDir+"/downloads"))

	s.misbehave(nil)
	n.pull(t, name)
	assert.NoError(t, mounted(t, n, p.Manifest))
}

func TestTheHostsPolicyDecides(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.put(t, "/etc/containers/policy.json", `{"default":[{"type":"reject"}]}`)
	require.ErrorContains(t, n.store.Pull(t.Context(), name, nil), "rejected by policy")
	assert.Empty(t, s.fetched())
	assert.Empty(t, n.list(t))
	n.put(t, "/etc/containers/policy.json", "{")
	require.ErrorContains(t, n.store.Pull(t.Context(), name, nil), "reading the host's signature policy")

	n.put(t, "/etc/crio/policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`)
	n.store.Policy = filepath.Join(n.root, "/etc/crio/policy.json")
	n.pull(t, name)
}

func TestMirrorsMayChangeWhileTheAgentRuns(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	n.mirror(t, "127.0.0.1:1")
	require.Error(t, n.store.Pull(t.Context(), name, func(host.Progress) {}))
	n.mirror(t, s.address())
	n.pull(t, name)
}

func TestAnImageThatTheRegistryDoesNotHaveIsNamed(t *testing.T) {
	t.Parallel()
	n := newNode(t, newSource(t))
	name := repository + "@sha256:" + strings.Repeat("a", 64)
	require.ErrorContains(t, n.store.Pull(t.Context(), name, func(host.Progress) {}), name)
	assert.ErrorContains(t, n.store.Pull(t.Context(), "NOT A NAME", nil), `pulling payload "NOT A NAME"`)
}
