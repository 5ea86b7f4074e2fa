// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"

	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/chunked/toc"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

const (
	// growth is how many times its compressed size a layer takes on disk, at most: Kata's programs
	// and kernels take 2.7 times as much.
	growth = 3
	// rollbackRoom stays free for what a switch back to another payload of the store writes:
	// records, and an initrd, which is smaller than the payload that it comes from.
	rollbackRoom = 16 << 20
	// A layer takes an inode for so many compressed bytes, at most, and the store some for itself.
	// Payloads of Kata have a file for 180 KB.
	bytesPerInode, ownInodes = 64 << 10, 100
)

// affords returns why there is no room for the layers that the store lacks. What the kubelet wants
// to stay free is left alone: beyond that it would evict the pods of this node.
func (s *Store) affords(ctx context.Context, store storage.Store, layers []types.BlobInfo) error {
	size, err := lacking(store, layers)
	if err != nil || size == 0 {
		return err
	}
	var now unix.Statfs_t
	if err := unix.Statfs(s.graph, &now); err != nil {
		return fmt.Errorf("asking for the room of image store %s: %w", s.graph, err)
	}
	block := uint64(now.Bsize) //nolint:gosec // it is positive
	thresholds := s.sameDisk(ctx)
	for _, c := range []room{
		{"bytes", growth*size + min(growth*size, rollbackRoom), now.Bavail * block, now.Blocks * block, false},
		{"inodes", size/bytesPerInode + ownInodes, now.Ffree, now.Files, true},
	} {
		if err := c.lacks(thresholds); err != nil {
			return fmt.Errorf("image store %s: %w", s.graph, err)
		}
	}
	return nil
}

// room is what a file system has of bytes or inodes.
type room struct {
	unit                 string
	need, free, capacity uint64
	inodes               bool
}

// lacks returns why the need cannot be met. A file system that counts no inodes has enough.
func (r room) lacks(thresholds []host.Threshold) error {
	if r.capacity == 0 {
		return nil
	}
	kept, why := uint64(0), ""
	for _, t := range thresholds {
		if keep := t.Of(r.capacity); t.Inodes == r.inodes && keep > kept {
			kept, why = keep, fmt.Sprintf(", and the kubelet evicts pods below %d (%s %s)", keep, t.Signal, t.Value)
		}
	}
	if r.free >= kept && r.free-kept >= r.need {
		return nil
	}
	return fmt.Errorf("the payload may take %d %s, %d are free%s: free some, or use a file system of its own: %w", r.need, r.unit, r.free, why, syscall.ENOSPC)
}

// sameDisk returns the thresholds that are about the file system of the store.
func (s *Store) sameDisk(ctx context.Context) []host.Threshold {
	if s.Thresholds == nil {
		return nil
	}
	var own unix.Stat_t
	if unix.Stat(s.graph, &own) != nil {
		return nil
	}
	return slices.DeleteFunc(s.Thresholds(ctx), func(t host.Threshold) bool {
		var other unix.Stat_t
		return unix.Stat(filepath.Join(s.root, t.Dir), &other) != nil || other.Dev != own.Dev
	})
}

// lacking is the compressed size of the layers that the store does not have. One that it has upon
// other layers becomes hard links.
func lacking(store storage.Store, layers []types.BlobInfo) (size uint64, err error) {
	have, err := store.Layers()
	if err != nil {
		return 0, fmt.Errorf("listing layers: %w", err)
	}
	for _, l := range layers {
		contents, err := toc.GetTOCDigest(l.Annotations)
		if err != nil {
			return 0, err
		}
		here := slices.ContainsFunc(have, func(h storage.Layer) bool {
			return h.CompressedDigest == l.Digest || contents != nil && h.TOCDigest == *contents
		})
		if !here {
			size += uint64(max(0, l.Size))
		}
	}
	return size, nil
}
