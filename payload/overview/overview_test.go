// SPDX-License-Identifier: Apache-2.0

package overview_test

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/signature/sigstore"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/overview"
	"github.com/kata-node/kata-node/payload/transport"
)

const (
	shim   = "usr/bin/containerd-shim-kata-v2"
	config = "usr/share/configuration.toml"
)

// build builds a payload of two components and the manifest.
func build(t *testing.T, architecture string, compression assemble.Compression) assemble.Payload {
	t.Helper()
	tree := t.TempDir()
	for path, content := range map[string]string{shim: strings.Repeat("shim", 1000), config: "[runtime]\n"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(tree, path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(tree, path), []byte(content), 0o755))
	}
	p, err := assemble.Build(t.Context(), assemble.Input{Tree: tree, WorkDir: t.TempDir(), Compression: compression, Description: assemble.Description{
		Name: "kata-test", Version: "1", Architecture: architecture, ShimCompatibility: "test-1",
		Handlers:   []assemble.Handler{{Name: "kata-oc", Type: "vm", Shim: shim, Config: config, Dialect: "go"}},
		Components: []assemble.Component{{Name: "config", Paths: []string{"usr/share"}}, {Name: "shim"}},
	}})
	require.NoError(t, err)
	return p
}

// signing makes a key.
func signing(t *testing.T) *transport.Signing {
	t.Helper()
	pair, err := sigstore.GenerateKeyPair(nil)
	require.NoError(t, err)
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, pair.PrivateKey, 0o600))
	return &transport.Signing{KeyFile: key}
}

func describe(t *testing.T, content transport.Content, to string, o transport.Options) overview.Overview {
	t.Helper()
	target, err := transport.ParseTarget(to)
	require.NoError(t, err)
	o.SkipTLSVerify, o.WorkDir = true, t.TempDir()
	_, err = transport.Push(t.Context(), content, target, o)
	require.NoError(t, err)
	opened, err := transport.Open(t.Context(), target, o)
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close()) }()
	described, err := overview.For(t.Context(), opened)
	require.NoError(t, err)
	return described
}

func TestAnIndexIsDescribedWithItsImagesDocumentsAndSignatures(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repository := server.Listener.Addr().String() + "/kata/payload"
	amd64, arm64 := build(t, "amd64", assemble.ZstdChunked), build(t, "arm64", assemble.Gzip)
	index, err := transport.Index(amd64.Image, arm64.Image)
	require.NoError(t, err)
	o := describe(t, index, "docker://"+repository+":v1", transport.Options{
		Signing:     signing(t),
		Attachments: []transport.Attachment{{Subject: arm64.Digest, Type: "application/spdx+json", Document: []byte("{}"), Annotations: map[string]string{"a": "b"}}},
	})
	at, err := index.Digest()
	require.NoError(t, err)
	assert.Equal(t, repository+"@"+at.String(), o.Name)
	assert.True(t, o.Index)
	assert.Equal(t, "kata-test", o.Annotations["org.opencontainers.image.title"])
	require.Len(t, o.Images, 2)
	for i, want := range []struct {
		assemble.Payload

		compression string
	}{{amd64, "zstd:chunked"}, {arm64, "gzip"}} {
		got := o.Images[i]
		assert.Equal(t, want.Digest, got.Digest)
		assert.Equal(t, want.Manifest.Files, got.Manifest.Files)
		assert.Equal(t, want.Manifest.Architecture, got.Architecture)
		assert.Equal(t, "1", got.Annotations["org.opencontainers.image.version"])
		require.Len(t, got.Layers, 3)
		var size, all int64
		var shares float64
		for l, layer := range got.Layers {
			assert.Equal(t, want.Layers[l].Component, layer.Component)
			assert.Equal(t, want.Layers[l].Digest, layer.Digest)
			assert.Equal(t, want.Layers[l].Size, layer.Size)
			assert.Equal(t, want.compression, layer.Compression)
			size, all, shares = size+layer.Size, all+layer.Unpacked, shares+layer.Share
		}
		assert.EqualValues(t, 4000, got.Layers[1].Unpacked)
		assert.Equal(t, []int64{size, all}, []int64{got.Size, got.Unpacked})
		assert.InDelta(t, 1, shares, 1e-9)
	}
	require.Len(t, o.Attached, 1)
	assert.Equal(t, transport.Attached{Subject: arm64.Digest, Type: "application/spdx+json", Digest: o.Attached[0].Digest, Size: 2, Annotations: map[string]string{"a": "b"}}, o.Attached[0])
	var signed []transport.Signature
	for _, subject := range []string{at.String(), amd64.Digest, arm64.Digest} {
		signed = append(signed, transport.Signature{Subject: subject, Identity: repository + ":v1"})
	}
	assert.ElementsMatch(t, signed, o.Signatures)
}

func TestAnImageWithoutDocumentsHasNone(t *testing.T) {
	t.Parallel()
	o := describe(t, build(t, "amd64", "").Image, "oci-archive:"+filepath.Join(t.TempDir(), "payload.tar"), transport.Options{})
	assert.False(t, o.Index)
	assert.Empty(t, o.Attached)
	assert.Empty(t, o.Signatures)
}

func TestLayersOfAnotherBuilderHaveNumbers(t *testing.T) {
	t.Parallel()
	image, err := mutate.Append(build(t, "amd64", assemble.Gzip).Image, mutate.Addendum{Layer: static.NewLayer(nil, types.OCIUncompressedLayer), MediaType: types.OCIUncompressedLayer},
		mutate.Addendum{Layer: static.NewLayer(nil, types.OCILayerZStd), MediaType: types.OCILayerZStd})
	require.NoError(t, err)
	got, err := overview.ForImage(image)
	require.NoError(t, err)
	var components, compressions []string
	for _, l := range got.Layers {
		components, compressions = append(components, l.Component), append(compressions, l.Compression)
	}
	assert.Equal(t, []string{"layer 1", "layer 2", "layer 3", "layer 4", "layer 5"}, components)
	assert.Equal(t, []string{"gzip", "gzip", "gzip", "none", "zstd"}, compressions)
	assert.Zero(t, got.Unpacked)
}
