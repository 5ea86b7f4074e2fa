// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kata-node/kata-node/payload/difference"
	"github.com/kata-node/kata-node/payload/transport"
)

// Layers reads what difference.Between has to know of an image: its documents, and the tables of
// contents of its layers.
func Layers(ctx context.Context, opened *transport.Opened, architecture string) (difference.Image, error) {
	image, err := opened.For(architecture)
	if err != nil {
		return difference.Image{}, err
	}
	out, err := readLayers(ctx, opened, image)
	if err != nil {
		return difference.Image{}, fmt.Errorf("reading %s: %w", opened.Name, err)
	}
	return out, nil
}

func readLayers(ctx context.Context, opened *transport.Opened, image v1.Image) (out difference.Image, err error) {
	described, err := ForImage(image)
	if err != nil {
		return out, err
	}
	stored, err := image.Manifest()
	if err != nil {
		return out, err
	}
	out.Manifest = described.Manifest
	if out.Documents, err = opened.Documents(image); err != nil {
		return out, err
	}
	for i, layer := range stored.Layers {
		contents, err := opened.Contents(ctx, layer)
		if err != nil {
			return out, err
		}
		out.Layers = append(out.Layers, difference.Layer{
			Component: described.Layers[i].Component, Digest: layer.Digest.String(), Size: layer.Size,
			Contents: contents.Document, Described: contents.Transferred,
		})
	}
	return out, nil
}
