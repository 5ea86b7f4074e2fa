// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/types"
)

// Content is what can be pushed: a v1.Image or a v1.ImageIndex.
type Content interface {
	Digest() (v1.Hash, error)
	MediaType() (ggcr.MediaType, error)
	RawManifest() ([]byte, error)
}

// built is a reference to content that this process has made. The library copies it from where its
// layers are, which spares writing all of them once more into a layout.
type built struct {
	// ImageReference is nil: what is not defined below is for references that can be written to.
	types.ImageReference
	collect func() (*builtSource, error)
}

func (b built) Transport() types.ImageTransport         { return layout.Transport }
func (b built) StringWithinTransport() string           { return "the built image" }
func (b built) DockerReference() reference.Named        { return nil }
func (b built) PolicyConfigurationIdentity() string     { return "" }
func (b built) PolicyConfigurationNamespaces() []string { return nil }

// NewImageSource collects what there is to read.
func (b built) NewImageSource(ctx context.Context, _ *types.SystemContext) (types.ImageSource, error) {
	s, err := b.collect()
	if err != nil {
		return nil, err
	}
	s.ctx, s.reference = ctx, b
	return s, nil
}

// collect finds everything of an image or an index.
func collect(content Content) (*builtSource, error) {
	s := &builtSource{documents: map[digest.Digest]document{}, blobs: map[digest.Digest]opener{}}
	top, err := s.addDocument(content)
	if err != nil {
		return nil, err
	}
	s.top = top
	switch c := content.(type) {
	case v1.Image:
		return s, s.addImage(c)
	case v1.ImageIndex:
		return s, s.addIndex(c)
	default:
		return nil, fmt.Errorf("%T is neither an image nor an index", c)
	}
}

// document is a manifest or an index with its media type.
type document struct {
	text []byte
	form string
}

// opener opens a blob, and returns its size.
type opener func() (io.ReadCloser, int64, error)

// builtSource has everything of an image or an index.
type builtSource struct {
	ctx       context.Context //nolint:containedctx // It lives for one copy.
	reference built
	top       digest.Digest
	documents map[digest.Digest]document
	blobs     map[digest.Digest]opener
}

func (s *builtSource) addDocument(c Content) (digest.Digest, error) {
	form, err := c.MediaType()
	if err != nil {
		return "", err
	}
	text, err := c.RawManifest()
	if err != nil {
		return "", err
	}
	at := digest.FromBytes(text)
	s.documents[at] = document{text, string(form)}
	return at, nil
}

func (s *builtSource) addImage(image v1.Image) error {
	config, err := image.RawConfigFile()
	if err != nil {
		return err
	}
	s.blobs[digest.FromBytes(config)] = func() (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(config)), int64(len(config)), nil
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		at, err := layer.Digest()
		if err != nil {
			return err
		}
		s.blobs[digest.Digest(at.String())] = func() (io.ReadCloser, int64, error) { return open(layer) }
	}
	return nil
}

func open(layer v1.Layer) (io.ReadCloser, int64, error) {
	size, err := layer.Size()
	if err != nil {
		return nil, 0, err
	}
	content, err := layer.Compressed()
	return content, size, err
}

func (s *builtSource) addIndex(index v1.ImageIndex) error {
	parts, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, part := range parts.Manifests {
		image, err := index.Image(part.Digest)
		if err != nil {
			return err
		}
		if _, err := s.addDocument(image); err != nil {
			return err
		}
		if err := s.addImage(image); err != nil {
			return err
		}
	}
	return nil
}

func (s *builtSource) Reference() types.ImageReference { return s.reference }
func (s *builtSource) Close() error                    { return nil }
func (s *builtSource) HasThreadSafeGetBlob() bool      { return true }

// GetManifest returns the image or the index itself, or one image of the index.
func (s *builtSource) GetManifest(_ context.Context, instance *digest.Digest) ([]byte, string, error) {
	at := s.top
	if instance != nil {
		at = *instance
	}
	d, ok := s.documents[at]
	if !ok {
		return nil, "", fmt.Errorf("the built image has no manifest %s", at)
	}
	return d.text, d.form, nil
}

// GetBlob opens a blob whose reading ends with the copy's context.
func (s *builtSource) GetBlob(_ context.Context, info types.BlobInfo, _ types.BlobInfoCache) (io.ReadCloser, int64, error) {
	open, ok := s.blobs[info.Digest]
	if !ok {
		return nil, 0, fmt.Errorf("the built image has no blob %s", info.Digest)
	}
	content, size, err := open()
	if err != nil {
		return nil, 0, err
	}
	return interruptible{s.ctx, content}, size, nil
}

// GetSignatures returns none: what was built just now is signed as it is pushed.
func (s *builtSource) GetSignatures(context.Context, *digest.Digest) ([][]byte, error) {
	return nil, nil
}

// LayerInfosForCopy says that the manifest is right.
func (s *builtSource) LayerInfosForCopy(context.Context, *digest.Digest) ([]types.BlobInfo, error) {
	return nil, nil
}

// interruptible ends a copy between two reads when its context ends.
type interruptible struct {
	ctx context.Context //nolint:containedctx // It lives for one copy.
	io.ReadCloser
}

func (r interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.ReadCloser.Read(p)
}
