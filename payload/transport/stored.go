// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	ggcr "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/types"
)

// core is an image as its source has it.
type core struct {
	ctx         context.Context //nolint:containedctx // Layers are read by an interface that has none.
	source      types.ImageSource
	form        string
	raw, config []byte
	// stored are the layers as a container store has them, unpacked. Elsewhere they are as the
	// manifest says, and this is empty.
	stored []types.BlobInfo
}

func (c *core) RawManifest() ([]byte, error)       { return c.raw, nil }
func (c *core) RawConfigFile() ([]byte, error)     { return c.config, nil }
func (c *core) Manifest() (*v1.Manifest, error)    { return partial.Manifest(c) }
func (c *core) MediaType() (ggcr.MediaType, error) { return ggcr.MediaType(c.form), nil }

// LayerByDigest returns a layer, or the configuration, as go-containerregistry asks for it.
func (c *core) LayerByDigest(at v1.Hash) (partial.CompressedLayer, error) {
	if at.String() == digest.FromBytes(c.config).String() {
		return partial.ConfigLayer(c)
	}
	described, err := partial.BlobDescriptor(c, at)
	if err != nil {
		return nil, err
	}
	return storedLayer{c, *described}, nil
}

type storedLayer struct {
	core       *core
	descriptor v1.Descriptor
}

func (l storedLayer) Digest() (v1.Hash, error)           { return l.descriptor.Digest, nil }
func (l storedLayer) Size() (int64, error)               { return l.descriptor.Size, nil }
func (l storedLayer) MediaType() (ggcr.MediaType, error) { return l.descriptor.MediaType, nil }

// Compressed reads the layer. The reader ends in an error if the bytes are not those of the digest.
func (l storedLayer) Compressed() (io.ReadCloser, error) {
	blob, err := l.blob()
	if err != nil {
		return nil, err
	}
	content, size, err := l.core.source.GetBlob(l.core.ctx, blob, none.NoCache)
	if err != nil {
		return nil, fmt.Errorf("reading layer %s: %w", blob.Digest, err)
	}
	if blob.Size < 0 {
		blob.Size = size
	}
	return &verified{ReadCloser: content, at: blob.Digest, sum: blob.Digest.Verifier(), size: blob.Size}, nil
}

// blob returns where the layer's bytes are.
func (l storedLayer) blob() (types.BlobInfo, error) {
	if len(l.core.stored) == 0 {
		return types.BlobInfo{Digest: digest.Digest(l.descriptor.Digest.String()), Size: l.descriptor.Size}, nil
	}
	m, err := l.core.Manifest()
	if err != nil {
		return types.BlobInfo{}, err
	}
	at := slices.IndexFunc(m.Layers, func(d v1.Descriptor) bool { return d.Digest == l.descriptor.Digest })
	if at < 0 || at >= len(l.core.stored) {
		return types.BlobInfo{}, fmt.Errorf("the store has no layer %s", l.descriptor.Digest)
	}
	return l.core.stored[at], nil
}

// verified is a blob that ends in an error where it is not what its digest says.
type verified struct {
	io.ReadCloser
	at  digest.Digest
	sum digest.Verifier
	// size is -1 where it is not known.
	size, read int64
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	_, _ = v.sum.Write(p[:n]) //nolint:errcheck // A hash takes everything.
	v.read += int64(n)
	if v.size >= 0 && v.read > v.size || errors.Is(err, io.EOF) && !v.sum.Verified() {
		return 0, fmt.Errorf("blob %s is damaged: what is stored under this digest has another", v.at)
	}
	return n, err
}
