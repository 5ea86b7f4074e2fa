// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/mounts"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/transport"
)

// The host's settings are those of CRI-O's store, and an administrator may change them while ours
// is in use.
func TestTheHostsSettingsOfItsStorageAreNotOurs(t *testing.T) {
	s := newSource(t)
	n := newNode(t, s)
	_, one := s.publish(t, "1.0.0")
	p, two := s.publish(t, "2.0.0")
	n.pull(t, one)
	n.put(t, "/etc/containers/storage.conf", "[storage]\ndriver = 'vfs'\ngraphroot = '"+n.file("/other")+"'\nrunroot = '"+n.file("/other-run")+"'\n")
	t.Setenv("CONTAINERS_STORAGE_CONF", n.file("/etc/containers/storage.conf"))
	t.Setenv("STORAGE_DRIVER", "vfs")
	t.Setenv("STORAGE_OPTS", "overlay.mount_program=/nonexistent")
	n.pull(t, two)
	assert.Len(t, n.list(t), 2)
	assert.NoDirExists(t, n.file("/other"))
	assert.NoDirExists(t, n.file(host.StoreDir+"/vfs"))
	for _, image := range n.list(t) {
		if image.Version == "1.0.0" {
			require.NoError(t, n.store.Delete(t.Context(), image.ID))
		}
	}
	assert.NoError(t, mounted(t, n, p.Manifest))
}

// withSetuid is a layer that no builder of payloads makes.
func withSetuid(t *testing.T, name string) []byte {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o4755, Size: 1}))
	_, err := w.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return layer.Bytes()
}

// An image that holds a setuid file is unpacked: the sentence about it is that of the comparison
// with the manifest, and no refusal of the kernel that a sandboxed unit would get.
func TestASetuidFileInALayerIsUnpackedAndNamed(t *testing.T) {
	t.Parallel()
	const name = "usr/bin/su"
	s := newSource(t)
	n := newNode(t, s)
	p, _ := s.publish(t, "1.0.0")
	content := withSetuid(t, name)
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, tarball.WithMediaType(types.OCILayer))
	require.NoError(t, err)
	image, err := mutate.AppendLayers(p.Image, layer)
	require.NoError(t, err)
	target, err := transport.ParseTarget("docker://" + s.address() + "/kata/payload:setuid")
	require.NoError(t, err)
	_, err = transport.Push(t.Context(), image, target, transport.Options{SkipTLSVerify: true, WorkDir: t.TempDir()})
	require.NoError(t, err)
	digest, err := image.Digest()
	require.NoError(t, err)

	n.pull(t, repository+"@"+digest.String())
	info, err := os.Stat(n.layerFile(t, name))
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSetuid)
	layers, err := n.store.Layers(t.Context(), n.list(t)[0].ID)
	require.NoError(t, err)
	kernel := mounts.Below(n.root, "")
	require.NoError(t, kernel.Overlay(layers, "/mnt"))
	defer unmount(t, kernel, "/mnt")
	assert.ErrorContains(t, inspect.Tree(t.Context(), filepath.Join(n.root, "mnt"), p.Manifest), name)
}
