// SPDX-License-Identifier: Apache-2.0

package images

import (
	"cmp"
	"context"
	"io"
	"math"
	"slices"

	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/chunked/toc"

	"github.com/kata-node/kata-node/internal/parts"
)

// serving is what a registry sends when it is asked for several parts of a blob at once.
type serving int

const (
	// unknown is also a registry whose answer was an error: what it makes of a real request is seen
	// then.
	unknown serving = iota
	severalParts
	wholeBlobs
)

// ask finds out what a registry serves. Those that keep blobs in S3 send the whole blob, which the
// library reads as if it were the parts: each layer would be fetched once for its table of contents
// and once for its files. The smallest layer is asked for two bytes and for one behind its end. A
// registry that serves parts sends two; in a whole blob the library finds three, of which the last
// is empty.
func ask(ctx context.Context, source types.ImageSource, layers []types.BlobInfo) serving {
	layers = slices.DeleteFunc(slices.Clone(layers), func(l types.BlobInfo) bool {
		contents, err := toc.GetTOCDigest(l.Annotations)
		return err != nil || contents == nil || l.Size < 0
	})
	if len(layers) == 0 {
		return unknown
	}
	smallest := slices.MinFunc(layers, func(a, b types.BlobInfo) int { return cmp.Compare(a.Size, b.Size) })
	lengths := partsOf(ctx, source, smallest, 0, 2, uint64(smallest.Size)+1) //nolint:gosec // It is not negative.
	switch {
	case slices.Equal(lengths, []int{1, 1}):
		return severalParts
	case slices.Equal(lengths, []int{1, 1, 0}):
		return wholeBlobs
	default:
		return unknown
	}
}

// partsOf asks for one byte at each of the offsets, and returns the lengths of the parts that come.
func partsOf(ctx context.Context, source types.ImageSource, blob types.BlobInfo, offsets ...uint64) []int {
	var wanted []parts.Part
	for _, offset := range offsets {
		wanted = append(wanted, parts.Part{Offset: offset, Length: 1})
	}
	streams, failures, served := parts.Of(ctx, source, blob, wanted...)
	if !served {
		return nil
	}
	return drain(streams, failures)
}

// drain reads streams until both channels are closed, and returns how many bytes each had.
func drain(streams chan io.ReadCloser, failures chan error) (lengths []int) {
	for streams != nil || failures != nil {
		select {
		case stream, more := <-streams:
			if !more {
				streams = nil
				continue
			}
			content, _ := io.ReadAll(io.LimitReader(stream, math.MaxInt16)) //nolint:errcheck // What came is looked at.
			_ = stream.Close()
			lengths = append(lengths, len(content))
		case _, more := <-failures: //nolint:errcheck // The parts that came say enough.
			if !more {
				failures = nil
			}
		}
	}
	return lengths
}
