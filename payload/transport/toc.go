// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/chunked/toc"

	"github.com/kata-node/kata-node/internal/parts"
)

const (
	// Annotations of a zstd:chunked layer: where its table of contents and its tar-split are, as
	// offset:length:length unpacked. They are internal to containers/storage
	// (chunked/internal/minimal).
	contentsPosition = "io.github.containers.zstd-chunked.manifest-position"
	tarSplitPosition = "io.github.containers.zstd-chunked.tarsplit-position"
	// maxContents is the largest table of contents, in bytes, that is read: that of a payload with
	// the largest manifest is smaller.
	maxContents = 64 << 20
)

// Contents is the table of contents of a zstd:chunked layer.
type Contents struct {
	// Document is the table as JSON; nil means that the layer has none, as one of gzip.
	Document []byte
	// Transferred is how many bytes a node fetches before it knows which files it needs.
	Transferred int64
}

// Contents reads the table of contents of a layer, and compares it with the digest that the image's
// manifest names. It fetches no other part of the layer where the registry serves parts.
func (o *Opened) Contents(ctx context.Context, layer v1.Descriptor) (Contents, error) {
	c, err := o.contents(ctx, layer)
	if err != nil {
		return Contents{}, fmt.Errorf("reading table of contents of layer %s: %w", layer.Digest, err)
	}
	return c, nil
}

func (o *Opened) contents(ctx context.Context, layer v1.Descriptor) (Contents, error) {
	if o.reference.Transport().Name() == storage.Transport.Name() {
		return Contents{}, errors.New("a container store keeps layers unpacked: name the image where it was pulled from")
	}
	want, err := toc.GetTOCDigest(layer.Annotations)
	position := layer.Annotations[contentsPosition]
	if want == nil || position == "" || err != nil {
		return Contents{}, err
	}
	var at parts.Part
	var unpacked uint64
	if _, err := fmt.Sscanf(position, "%d:%d:%d", &at.Offset, &at.Length, &unpacked); err != nil {
		return Contents{}, fmt.Errorf("annotation %s: %w", contentsPosition, err)
	}
	var splitAt, split uint64
	if text, ok := layer.Annotations[tarSplitPosition]; ok {
		if _, err := fmt.Sscanf(text, "%d:%d", &splitAt, &split); err != nil {
			return Contents{}, fmt.Errorf("annotation %s: %w", tarSplitPosition, err)
		}
	}
	size := uint64(max(layer.Size, 0))
	if at.Length > maxContents || unpacked > maxContents || at.Offset > size || at.Length > size-at.Offset || split > size {
		return Contents{}, fmt.Errorf("annotations place it at %s in a layer of %d bytes: at most %d are read", position, layer.Size, maxContents)
	}
	packed, err := o.part(ctx, types.BlobInfo{Digest: digest.Digest(layer.Digest.String()), Size: layer.Size}, at)
	if err != nil {
		return Contents{}, err
	}
	if got := digest.FromBytes(packed); got != *want {
		return Contents{}, fmt.Errorf("its digest is %s, the manifest says %s", got, *want)
	}
	document, err := unpack(packed, unpacked)
	return Contents{Document: document, Transferred: int64(at.Length + split)}, err
}

func unpack(packed []byte, size uint64) ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxContents), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	document, err := decoder.DecodeAll(packed, nil)
	if err == nil && uint64(len(document)) != size {
		err = fmt.Errorf("it has %d bytes, the manifest says %d", len(document), size)
	}
	return document, err
}

// part reads a part of a blob.
func (o *Opened) part(ctx context.Context, blob types.BlobInfo, at parts.Part) ([]byte, error) {
	if streams, failures, served := parts.Of(ctx, o.source, blob, at); served {
		content, err := parts.First(streams, failures, int64(at.Length)) //nolint:gosec // The caller has compared it with the blob's size.
		if err != nil || uint64(len(content)) == at.Length {
			return content, err
		}
	}
	content, _, err := o.source.GetBlob(ctx, blob, none.NoCache)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	if err := skip(content, int64(at.Offset)); err != nil { //nolint:gosec // As above.
		return nil, err
	}
	found := make([]byte, at.Length)
	_, err = io.ReadFull(interruptible{ctx, content}, found)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return found, err
}

func skip(content io.Reader, bytes int64) error {
	if file, ok := content.(io.Seeker); ok {
		_, err := file.Seek(bytes, io.SeekStart)
		return err
	}
	_, err := io.CopyN(io.Discard, content, bytes)
	return err
}
