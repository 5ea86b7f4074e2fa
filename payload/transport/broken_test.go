// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"io"
	"syscall"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// broken is an image whose layers end in a read error.
type broken struct{ v1.Image }

func (b broken) Layers() ([]v1.Layer, error) {
	layers, err := b.Image.Layers()
	for i := range layers {
		layers[i] = brokenLayer{layers[i]}
	}
	return layers, err
}

type brokenLayer struct{ v1.Layer }

func (brokenLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(iotest.ErrReader(syscall.EIO)), nil
}
