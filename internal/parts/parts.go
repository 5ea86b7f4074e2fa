// SPDX-License-Identifier: Apache-2.0

// Package parts asks a registry for parts of a blob by the connection, mirror and credentials that
// containers/image has for it. The library offers that to its own packages only: a parameter of the
// method has an internal type, so that it can only be called by reflection.
package parts

import (
	"context"
	"io"
	"reflect"

	"go.podman.io/image/v5/types"
)

// Part is what the library calls ImageSourceChunk.
type Part struct{ Offset, Length uint64 }

// Of asks for parts of a blob. The streams come in the order of the parts, and each has to be read
// and closed before the next one comes; a registry may send other parts than were asked for. Both
// channels are closed at the end. It reports false where the source serves no parts, or refuses.
func Of(ctx context.Context, source types.ImageSource, blob types.BlobInfo, parts ...Part) (streams chan io.ReadCloser, failures chan error, served bool) {
	method := reflect.ValueOf(source).MethodByName("GetBlobAt")
	if !method.IsValid() || method.Type().NumIn() != 3 || method.Type().NumOut() != 3 || method.Type().In(2).Kind() != reflect.Slice {
		return nil, nil, false
	}
	list := reflect.MakeSlice(method.Type().In(2), 0, len(parts))
	for _, part := range parts {
		one := reflect.ValueOf(part)
		if !one.CanConvert(list.Type().Elem()) {
			return nil, nil, false
		}
		list = reflect.Append(list, one.Convert(list.Type().Elem()))
	}
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(blob), list})
	streams, isStreams := reflect.TypeAssert[chan io.ReadCloser](out[0])
	failures, isFailures := reflect.TypeAssert[chan error](out[1])
	return streams, failures, isStreams && isFailures && out[2].IsNil()
}

// First returns the first part that comes, up to limit bytes, and waits for the end of the others.
// It returns the first error where there is one.
func First(streams chan io.ReadCloser, failures chan error, limit int64) (first []byte, err error) {
	for streams != nil || failures != nil {
		select {
		case stream, more := <-streams:
			if !more {
				streams = nil
				continue
			}
			content, failure := io.ReadAll(io.LimitReader(stream, limit))
			_ = stream.Close()
			if first == nil && err == nil {
				first, err = content, failure
			}
		case failure, more := <-failures:
			if !more {
				failures = nil
			} else if err == nil {
				err = failure
			}
		}
	}
	return first, err
}
