// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/chunked/toc"
)

// A layer with a table of contents (zstd:chunked) is pulled in parts: first its table, then, in one
// request with many ranges, what no other layer of the store has. All else becomes hard links. Many
// registries serve no such request, and the library then fails or fetches every layer twice.

// partialFailure is in each error of the library that a pull in parts ends with.
const partialFailure = "partial pull of blob"

// transfer copies an image in parts, and where that fails as a whole. Layers that were complete
// before the failure are not fetched again. A registry that cannot do it is remembered; a failure
// of one that was seen to serve parts says nothing of the next pull.
func (s *Store) transfer(ctx context.Context, t transfer) (string, error) {
	registry := reference.Domain(t.named)
	id, err := s.attempt(ctx, t, s.serves[registry] != wholeBlobs)
	if err == nil || !strings.Contains(err.Error(), partialFailure) || ctx.Err() != nil || full(err) {
		return id, err
	}
	id, err = s.attempt(ctx, t, false)
	if err == nil && s.serves[registry] == unknown {
		s.serves[registry] = wholeBlobs
	}
	return id, err
}

// full tells whether a pull failed for want of room. One of whole layers needs more.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// choose decides how layers are pulled: it sets options, and returns the store with those of its
// own.
func (s *Store) choose(ctx context.Context, t transfer, source types.ImageSource, layers []types.BlobInfo, partial bool, options *copy.Options) (storage.Store, error) {
	registry := reference.Domain(t.named)
	if partial && s.serves[registry] == unknown {
		s.serves[registry] = ask(ctx, source, layers)
		partial = s.serves[registry] != wholeBlobs
	}
	if !partial {
		return wholeLayers{t.store}, nil
	}
	again, err := rebuilds(t.store, layers)
	if again {
		// The library reuses a layer only in the compression that is forced, and otherwise pulls it
		// in parts, of which it has all. It does not compress layers for this store.
		system := *options.DestinationCtx
		system.CompressionFormat = &compression.Gzip
		options.DestinationCtx, options.ForceCompressionFormat = &system, true
	}
	return t.store, err
}

// wholeLayers is a store that layers are not pulled to in parts.
type wholeLayers struct{ storage.Store }

func (wholeLayers) PullOptions() map[string]string {
	return map[string]string{"enable_partial_images": "false"}
}

// rebuilds tells whether the image has a layer that the store has on top of others: a layer belongs
// to those below it, so that it is needed once more. The library reuses it by reading all of it and
// writing it twice.
func rebuilds(store storage.Store, image []types.BlobInfo) (bool, error) {
	layers, err := store.Layers()
	if err != nil {
		return false, err
	}
	below, known := "", true
	for _, l := range image {
		contents, err := toc.GetTOCDigest(l.Annotations)
		if err != nil {
			return false, err
		}
		found, same := false, ""
		for _, have := range layers {
			if contents == nil || have.TOCDigest != *contents {
				continue
			}
			found = true
			if have.Parent == below {
				same = have.ID
			}
		}
		known = known && same != ""
		if found && !known {
			return true, nil
		}
		below = same
	}
	return false, nil
}
