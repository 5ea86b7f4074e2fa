// SPDX-License-Identifier: Apache-2.0

package images

import (
	"cmp"
	"context"
	"io"
	"math"
	"reflect"
	"slices"

	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/chunked/toc"
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
	parts := partsOf(ctx, source, smallest, 0, 2, uint64(smallest.Size)+1) //nolint:gosec // It is not negative.
	switch {
	case slices.Equal(parts, []int{1, 1}):
		return severalParts
	case slices.Equal(parts, []int{1, 1, 0}):
		return wholeBlobs
	default:
		return unknown
	}
}

// part is what the library calls ImageSourceChunk.
type part struct{ Offset, Length uint64 }

// partsOf asks for one byte at each of the offsets, by the same connection, mirror and credentials
// as the pull, and returns the lengths of the parts that come. The library's method has a parameter
// of a type that is internal to it, so it can only be called by reflection. Without that method
// there are no parts.
func partsOf(ctx context.Context, source types.ImageSource, blob types.BlobInfo, offsets ...uint64) []int {
	method := reflect.ValueOf(source).MethodByName("GetBlobAt")
	if !method.IsValid() || method.Type().NumIn() != 3 || method.Type().NumOut() != 3 || method.Type().In(2).Kind() != reflect.Slice {
		return nil
	}
	list := reflect.MakeSlice(method.Type().In(2), 0, len(offsets))
	for _, offset := range offsets {
		one := reflect.ValueOf(part{offset, 1})
		if !one.CanConvert(list.Type().Elem()) {
			return nil
		}
		list = reflect.Append(list, one.Convert(list.Type().Elem()))
	}
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(blob), list})
	streams, isStreams := reflect.TypeAssert[chan io.ReadCloser](out[0])
	failures, isFailures := reflect.TypeAssert[chan error](out[1])
	if !isStreams || !isFailures || !out[2].IsNil() {
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
