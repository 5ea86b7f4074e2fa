// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"net/http/httptest"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/transport"
)

const checksum = "sha256:" + "abababababababababababababababababababababababababababababababab"

// zstdImage has a layer of zstd:chunked as far as its descriptor goes.
func zstdImage(t *testing.T, architecture string) v1.Image {
	t.Helper()
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(image, mutate.Addendum{
		Layer:       static.NewLayer([]byte("layer for "+architecture), types.OCILayerZStd),
		MediaType:   types.OCILayerZStd,
		Annotations: map[string]string{"io.github.containers.zstd-chunked.manifest-checksum": checksum},
	})
	require.NoError(t, err)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: architecture, RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}})
	require.NoError(t, err)
	return image
}

// The library marks images with such layers in indexes that it may change.
func TestLayersOfZstdKeepTheirAnnotationsAndTheIndexItsDigest(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	amd64, arm64 := zstdImage(t, "amd64"), zstdImage(t, "arm64")
	index, err := transport.Index(amd64, arm64)
	require.NoError(t, err)
	want, err := index.Digest()
	require.NoError(t, err)
	to := target(t, "docker://"+host+"/kata/payload:v1")
	got, err := transport.Push(t.Context(), index, to, options(t))
	require.NoError(t, err)
	assert.Equal(t, want.String(), got.Digest)
	image, err := openTarget(t, to).For("arm64")
	require.NoError(t, err)
	m, err := image.Manifest()
	require.NoError(t, err)
	assert.Equal(t, types.OCILayerZStd, m.Layers[0].MediaType)
	assert.Equal(t, checksum, m.Layers[0].Annotations["io.github.containers.zstd-chunked.manifest-checksum"])
}
