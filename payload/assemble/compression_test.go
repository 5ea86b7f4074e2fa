// SPDX-License-Identifier: Apache-2.0

package assemble_test

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/storage/pkg/chunked/toc"

	"github.com/kata-node/kata-node/payload/assemble"
)

func TestLayersAreCompressedAsAsked(t *testing.T) {
	t.Parallel()
	for asked, want := range map[assemble.Compression]struct {
		mediaType types.MediaType
		contents  bool
	}{
		"":                   {types.OCILayerZStd, true},
		assemble.ZstdChunked: {types.OCILayerZStd, true},
		assemble.Gzip:        {types.OCILayer, false},
	} {
		in := input(t, stage(t))
		in.Compression = asked
		p := mustBuild(t, in)
		validateImage(t, p.Image)
		m, err := p.Image.Manifest()
		require.NoError(t, err)
		for _, l := range m.Layers {
			assert.Equal(t, want.mediaType, l.MediaType, asked)
			contents, err := toc.GetTOCDigest(l.Annotations)
			require.NoError(t, err)
			assert.Equal(t, want.contents, contents != nil, "%s: a table of contents that a node finds", asked)
		}
	}
}

// validateImage compares every digest and size with what is read. The library's own check does that
// for gzip only.
func validateImage(t *testing.T, image v1.Image) {
	t.Helper()
	require.NoError(t, validate.Image(image, validate.Fast))
	layers, err := image.Layers()
	require.NoError(t, err)
	for _, l := range layers {
		digest, err := l.Digest()
		require.NoError(t, err)
		size, err := l.Size()
		require.NoError(t, err)
		diffID, err := l.DiffID()
		require.NoError(t, err)
		compressed, err := l.Compressed()
		require.NoError(t, err)
		got, read, err := v1.SHA256(compressed)
		require.NoError(t, err)
		require.NoError(t, compressed.Close())
		assert.Equal(t, digest, got)
		assert.Equal(t, size, read)
		content, err := l.Uncompressed()
		require.NoError(t, err)
		got, _, err = v1.SHA256(content)
		require.NoError(t, err)
		require.NoError(t, content.Close())
		assert.Equal(t, diffID, got)
	}
}

func TestAnUnknownCompressionIsRefused(t *testing.T) {
	t.Parallel()
	in := input(t, stage(t))
	in.Compression = "zstd"
	_, err := assemble.Build(t.Context(), in)
	require.ErrorContains(t, err, `compression "zstd": must be zstd:chunked or gzip`)
}

// The compressor takes as many processors as it gets.
func TestTheDigestDoesNotDependOnTheNumberOfProcessors(t *testing.T) { //nolint:paralleltest // it sets what all tests share
	tree := stage(t)
	digests := map[string]bool{}
	for _, processors := range []int{1, 2, 7} {
		before := runtime.GOMAXPROCS(processors)
		digests[mustBuild(t, input(t, tree)).Digest] = true
		runtime.GOMAXPROCS(before)
	}
	assert.Len(t, digests, 1)
}

// What repeats at a distance shows the level: the library's search for it goes deeper at the higher
// one. Each layer's level is its own.
func TestSmallLayersAreCompressedMore(t *testing.T) {
	t.Parallel()
	tree := stage(t)
	words := strings.Fields("guest agent kernel module shim sandbox pod node payload layer image vsock virtiofs overlay handler slot proof")
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 4<<20 {
		text.WriteString(words[random.IntN(len(words))] + " ")
	}
	guest := func(times int) int64 {
		put(t, tree, "usr/share/guest/initrd", strings.Repeat(text.String()+"\n", times), 0o644)
		return mustBuild(t, input(t, tree)).Layers[0].Size
	}
	assert.Less(t, float64(guest(1)), 0.99*float64(guest(5))/5)
}
