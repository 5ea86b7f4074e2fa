// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/transport"
)

// both builds a payload for two architectures, and an index of them.
func both(t *testing.T, version string) (index v1.ImageIndex, amd64, arm64 assemble.Payload) {
	t.Helper()
	amd64, arm64 = payloadFor(t, version, "amd64"), payloadFor(t, version, "arm64")
	index, err := transport.Index(arm64.Image, amd64.Image)
	require.NoError(t, err)
	require.NoError(t, validate.Index(index))
	return index, amd64, arm64
}

func TestAnIndexSaysWhatItsImagesAreFor(t *testing.T) {
	t.Parallel()
	index, amd64, arm64 := both(t, "1.0.0")
	again, err := transport.Index(amd64.Image, arm64.Image)
	require.NoError(t, err)
	want, err := index.Digest()
	require.NoError(t, err)
	got, err := again.Digest()
	require.NoError(t, err)
	assert.Equal(t, want, got, "whatever the order")
	m, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, m.Manifests, 2)
	assert.Equal(t, &v1.Platform{OS: "linux", Architecture: "amd64"}, m.Manifests[0].Platform)
	assert.Empty(t, m.Manifests[0].ArtifactType, "it is an image")
	assert.Equal(t, arm64.Digest, m.Manifests[1].Digest.String())
	assert.Equal(t, "1.0.0", m.Annotations["org.opencontainers.image.version"])
	assert.NotContains(t, m.Annotations, "io.kata-node.payload.manifest", "each image has its own")
	assert.Contains(t, m.Manifests[0].Annotations, "io.kata-node.payload.manifest")
}

func TestAnIndexHasOneImageForEachArchitecture(t *testing.T) {
	t.Parallel()
	_, err := transport.Index(payload(t, "1.0.0").Image, payload(t, "2.0.0").Image)
	require.ErrorContains(t, err, "making an index of 2 images: two of them are for amd64")
	_, err = transport.Index(empty.Image)
	require.ErrorContains(t, err, "does not say which architecture it is for")
}

func TestAnIndexGoesEverywhereWithAllOfItsImages(t *testing.T) {
	t.Parallel()
	index, amd64, arm64 := both(t, "1.0.0")
	host := serve(t, httptest.NewServer, nil)
	dir := t.TempDir()
	from := target(t, "oci:"+filepath.Join(dir, "built")+":v1")
	published, err := transport.Push(t.Context(), index, from, options(t))
	require.NoError(t, err)
	for _, to := range []string{"docker://" + host + "/kata/payload:v1", "oci-archive:" + filepath.Join(dir, "payload.tar") + ":v1", "oci:" + filepath.Join(dir, "copied")} {
		to := target(t, to)
		got, err := transport.Copy(t.Context(), from, to, options(t))
		require.NoError(t, err)
		assert.Equal(t, published.Digest, got.Digest)
		opened := openTarget(t, to)
		assert.True(t, opened.Index)
		assert.Equal(t, published.Digest, opened.Digest)
		for architecture, want := range map[string]assemble.Payload{"amd64": amd64, "arm64": arm64} {
			image, err := opened.For(architecture)
			require.NoError(t, err)
			require.NoError(t, validate.Image(image))
			digest, err := image.Digest()
			require.NoError(t, err)
			assert.Equal(t, want.Digest, digest.String())
		}
		_, err = opened.For("s390x")
		require.ErrorContains(t, err, "is an index without an image for s390x: it has amd64, arm64; name one of its images by digest")
		from = to
	}
	sameManifest(t, arm64, target(t, "docker://"+host+"/kata/payload@"+arm64.Digest))
}

func TestAStoreHasTheImageOfAnIndexForThisMachine(t *testing.T) {
	t.Parallel()
	in := store(t)
	index, amd64, arm64 := both(t, "1.0.0")
	got, err := transport.Push(t.Context(), index, target(t, in+"localhost/kata/payload:v1"), options(t))
	require.NoError(t, err)
	want := map[string]assemble.Payload{"amd64": amd64, "arm64": arm64}[runtime.GOARCH]
	for _, name := range []string{got.Name, in + "localhost/kata/payload:v1"} {
		image, err := openTarget(t, target(t, name)).For(runtime.GOARCH)
		require.NoError(t, err)
		digest, err := image.Digest()
		require.NoError(t, err)
		assert.Equal(t, want.Digest, digest.String())
	}
}
