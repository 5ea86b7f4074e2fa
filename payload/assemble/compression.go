// SPDX-License-Identifier: Apache-2.0

package assemble

import (
	"cmp"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.podman.io/storage/pkg/chunked/compressor"
)

// Compression is how the layers of a payload are compressed.
type Compression string

const (
	// ZstdChunked compresses every file by itself and ends a layer with a table of contents, from
	// which a node learns what it has already. Any reader of zstd reads such a layer. It is the
	// default.
	ZstdChunked Compression = "zstd:chunked"
	// Gzip is for registries and tools that know no zstd. A node fetches and writes such layers
	// whole.
	Gzip Compression = "gzip"
)

// zstdLevel is the highest level with which a build takes less time than buildah's with gzip.
// Layers have the size of those of pgzip at its default level, which buildah uses, or less. The
// next level makes them 5 % smaller and takes four times the CPU time: docs/performance.md.
const zstdLevel = 7

// ParseCompression reads the name of a compression. An empty one is the default.
func ParseCompression(name string) (Compression, error) {
	switch c := cmp.Or(Compression(name), ZstdChunked); c {
	case ZstdChunked, Gzip:
		return c, nil
	default:
		return "", fmt.Errorf("compression %q: must be %s or %s", name, ZstdChunked, Gzip)
	}
}

func (c Compression) mediaType() types.MediaType {
	if c == Gzip {
		return types.OCILayer
	}
	return types.OCILayerZStd
}

// writer compresses into out. Annotations are those of the layer's descriptor; they are complete
// once the writer is closed.
func (c Compression) writer(out io.Writer) (w io.WriteCloser, annotations map[string]string, err error) {
	if c == Gzip {
		return gzip.NewWriter(out), nil, nil
	}
	annotations, level := map[string]string{}, zstdLevel
	w, err = compressor.ZstdCompressor(out, annotations, &level)
	return w, annotations, err
}
