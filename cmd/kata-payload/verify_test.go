// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An image may have labels and a manifest of ours, and other files.
func TestAnImageWithOtherFilesThanItsManifestSaysIsNamed(t *testing.T) {
	t.Parallel()
	kataPayload, built := program(t), filepath.Join(t.TempDir(), "built")
	_, diag, err := run(t, kataPayload, "build", "--attest=false", "--from", stage(t, "/bin/sh"), "--describe", "test/payload/payload.toml", "--to", "oci:"+built+":v1")
	require.NoError(t, err, diag)
	index, err := layout.ImageIndexFromPath(built)
	require.NoError(t, err)
	top, err := index.IndexManifest()
	require.NoError(t, err)
	image, err := index.Image(top.Manifests[0].Digest)
	require.NoError(t, err)

	const shim = "usr/bin/containerd-shim-kata-v2"
	for want, h := range map[string]tar.Header{
		"usr/bin/more: is not in the manifest":         {Name: "usr/bin/more", Mode: 0o755},
		shim + ": size is 0, manifest says ":           {Name: shim, Mode: 0o755},
		"usr/bin/.wh.more: hides a file of a layer be": {Name: "usr/bin/.wh.more", Mode: 0o644},
	} {
		var text bytes.Buffer
		w := tar.NewWriter(&text)
		require.NoError(t, w.WriteHeader(&h))
		require.NoError(t, w.Close())
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil })
		require.NoError(t, err)
		changed, err := mutate.AppendLayers(image, layer)
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "changed")
		path, err := layout.Write(dir, empty.Index)
		require.NoError(t, err)
		require.NoError(t, path.AppendImage(changed))
		out, diag, err := run(t, kataPayload, "verify", "oci:"+dir)
		require.Error(t, err)
		assert.Empty(t, out)
		assert.Contains(t, diag, "verifying oci:"+dir+"@sha256:")
		assert.Contains(t, diag, ": verifying payload: "+want)
	}
	_, diag, err = run(t, kataPayload, "verify", "oci:"+built+":v1")
	require.NoError(t, err, diag)
}
