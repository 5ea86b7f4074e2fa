// SPDX-License-Identifier: Apache-2.0

// Package overview describes a payload's image or index as it is stored: images, layers with their
// components, documents and signatures. What it says is stated by the image; it verifies digests,
// but no signature.
package overview

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/transport"
)

// Overview is an image, or an index with its images.
type Overview struct {
	// Name is the image or index by digest.
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Index  bool   `json:"index"`
	// Annotations are those of the index, or of the one image.
	Annotations map[string]string     `json:"annotations,omitempty"`
	Images      []Image               `json:"images"`
	Attached    []transport.Attached  `json:"attached"`
	Signatures  []transport.Signature `json:"signatures"`
}

// Image is one image.
type Image struct {
	Architecture string `json:"architecture"`
	Digest       string `json:"digest"`
	// Size is that of all layers as they are stored, Unpacked that of all files, in bytes.
	Size        int64             `json:"size"`
	Unpacked    int64             `json:"unpacked"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Layers are those of the image from the bottom up.
	Layers []Layer `json:"layers"`
	// Manifest is the document inside.
	Manifest manifest.Manifest `json:"manifest"`
}

// Layer is one layer.
type Layer struct {
	// Component is that of the manifest whose files the layer holds.
	Component   string `json:"component"`
	Digest      string `json:"digest"`
	Compression string `json:"compression"`
	// Size is that of the layer as it is stored, Unpacked that of its files, in bytes.
	Size     int64 `json:"size"`
	Unpacked int64 `json:"unpacked"`
	// Share is the layer's part of the image's size, from 0 to 1.
	Share float64 `json:"share"`
}

// For describes what is open.
func For(ctx context.Context, opened *transport.Opened) (o Overview, err error) {
	o = Overview{Name: opened.Name, Digest: opened.Digest, Index: opened.Index}
	if o.Annotations, err = opened.Annotations(); err != nil {
		return Overview{}, err
	}
	for _, found := range opened.Images {
		image, err := ForImage(found)
		if err != nil {
			return Overview{}, fmt.Errorf("describing %s: %w", opened.Name, err)
		}
		o.Images = append(o.Images, image)
	}
	if o.Attached, err = opened.Attached(ctx); err != nil {
		return Overview{}, err
	}
	if o.Signatures, err = opened.Signatures(ctx); err != nil {
		return Overview{}, err
	}
	return o, nil
}

// ForImage describes one image.
func ForImage(image v1.Image) (Image, error) {
	m, document, err := transport.Manifest(image)
	if err != nil {
		return Image{}, err
	}
	stored, err := image.Manifest()
	if err != nil {
		return Image{}, err
	}
	at, err := image.Digest()
	if err != nil {
		return Image{}, err
	}
	out := Image{Architecture: m.Architecture, Digest: at.String(), Annotations: stored.Annotations, Manifest: m}
	for i, layer := range stored.Layers {
		l := Layer{Component: component(m, i, len(stored.Layers)), Digest: layer.Digest.String(), Compression: compression(layer), Size: layer.Size}
		if l.Unpacked = unpacked(m, l.Component); l.Component == manifestLayer {
			l.Unpacked = int64(len(document))
		}
		out.Size, out.Unpacked = out.Size+l.Size, out.Unpacked+l.Unpacked
		out.Layers = append(out.Layers, l)
	}
	for i := range out.Layers {
		out.Layers[i].Share = float64(out.Layers[i].Size) / float64(max(out.Size, 1))
	}
	return out, nil
}

// manifestLayer stands for a component where a layer holds the manifest alone.
const manifestLayer = "manifest"

// component says what a layer holds: kata-payload writes one for each component and one more.
// Of an image of another builder nothing is known.
func component(m manifest.Manifest, layer, layers int) string {
	switch {
	case layers != len(m.Components)+1:
		return fmt.Sprintf("layer %d", layer+1)
	case layer == len(m.Components):
		return manifestLayer
	default:
		return m.Components[layer].Name
	}
}

func unpacked(m manifest.Manifest, component string) (size int64) {
	for _, f := range m.Files {
		if c, ok := m.Component(f.Path); ok && c.Name == component {
			size += f.Size
		}
	}
	return size
}

// chunkedAnnotation is in the descriptor of each zstd:chunked layer.
const chunkedAnnotation = "io.github.containers.zstd-chunked.manifest-checksum"

func compression(layer v1.Descriptor) string {
	switch {
	case layer.Annotations[chunkedAnnotation] != "":
		return "zstd:chunked"
	case layer.MediaType == types.OCILayerZStd:
		return "zstd"
	case strings.HasSuffix(string(layer.MediaType), "gzip"):
		return "gzip"
	default:
		return "none"
	}
}
