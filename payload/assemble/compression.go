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

// zstdLevel is the highest level with which a build takes less time than buildah's with gzip. Such
// layers have the size of those of pgzip at its default level, which buildah uses, to 0.1 %. The
// next level that the library knows makes them 5 % smaller and takes four times the CPU time, 1.4 s
// for 16 MiB: docs/performance.md. Layers of which all files have no more than smallLayer bytes in
// all get that one. It depends on nothing but the layer itself, so that an update of another
// component leaves it as it is.
const (
	zstdLevel      = 7
	smallZstdLevel = 10
	smallLayer     = 16 << 20
)

func levelFor(size int64) int {
	if size <= smallLayer {
		return smallZstdLevel
	}
	return zstdLevel
}

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

// writer compresses a layer of files of that size, in bytes, into out. Annotations are those of the
// layer's descriptor; they are complete once the writer is closed.
func (c Compression) writer(out io.Writer, size int64) (w io.WriteCloser, annotations map[string]string, err error) {
	if c == Gzip {
		return gzip.NewWriter(out), nil, nil
	}
	annotations, level := map[string]string{}, levelFor(size)
	w, err = compressor.ZstdCompressor(out, annotations, &level)
	return w, annotations, err
}
