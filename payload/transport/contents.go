// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kata-node/kata-node/payload/manifest"
)

// Manifest returns the manifest inside a payload image, decoded and as it was written, after
// comparing it with the image's label. It reads layers from the top until it has found the
// document: for our own images that is one small layer.
func Manifest(image v1.Image) (manifest.Manifest, []byte, error) {
	document, err := find(image)
	if err != nil {
		return manifest.Manifest{}, nil, fmt.Errorf("reading payload manifest: %w", err)
	}
	m, err := manifest.Decode(document)
	if err != nil {
		return manifest.Manifest{}, nil, err
	}
	return m, document, nil
}

func find(image v1.Image) ([]byte, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	label := config.Config.Labels[manifest.Label]
	if label == "" {
		return nil, fmt.Errorf("the image has no label %s: it is no payload", manifest.Label)
	}
	document, err := search(image)
	if err != nil {
		return nil, err
	}
	if len(document) > manifest.MaxSize {
		return nil, fmt.Errorf("%s is too large: more than %d bytes", manifest.Path, manifest.MaxSize)
	}
	if got := manifest.Digest(document); got != label {
		return nil, fmt.Errorf("digest is %s, the image's label says %s", got, label)
	}
	return document, nil
}

func search(image v1.Image) ([]byte, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, layer := range slices.Backward(layers) {
		document, err := searchLayer(layer)
		if document != nil || err != nil {
			return document, err
		}
	}
	return nil, fmt.Errorf("no layer holds %s", manifest.Path)
}

// searchLayer returns nil where the layer does not hold the document.
func searchLayer(layer v1.Layer) ([]byte, error) {
	content, err := layer.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	for archive := tar.NewReader(content); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Name == manifest.Path && h.Typeflag == tar.TypeReg {
			return io.ReadAll(io.LimitReader(archive, manifest.MaxSize+1))
		}
	}
}
