// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// store keeps every image as one layer.
type store struct{ m *Machine }

func (s store) layer(id string) string { return s.m.path(filepath.Join(host.StoreDir, id)) }

func (s store) List(context.Context) ([]host.Image, error) { return slices.Clone(s.m.Images), nil }

func (s store) Exists() bool { return s.m.exists(host.StoreDir) }

func (s store) Pull(_ context.Context, image string, progress func(host.Progress)) error {
	payload, there := s.m.Registry[image]
	if !there {
		return fmt.Errorf("pulling payload %q: manifest unknown", image)
	}
	progress(host.Progress{Done: 12e6, Total: 324e6})
	record := payload.image(node.Digest(image))
	s.forget(record.ID)
	s.m.Images = append(s.m.Images, record)
	return payload.unpack(s.layer(record.ID))
}

func (s store) forget(id string) {
	s.m.Images = slices.DeleteFunc(s.m.Images, func(i host.Image) bool { return i.ID == id })
}

func (s store) Layers(_ context.Context, id string) ([]string, error) {
	if !slices.ContainsFunc(s.m.Images, func(i host.Image) bool { return i.ID == id }) {
		return nil, fmt.Errorf("looking up image %s: unknown", id)
	}
	return []string{s.layer(id)}, nil
}

// Delete takes the layers from under a mount, as the real store would.
func (s store) Delete(_ context.Context, id string) error {
	s.forget(id)
	return os.RemoveAll(s.layer(id))
}

func (s store) Discard(ctx context.Context, id string) error { return s.Delete(ctx, id) }

func (s store) Destroy(context.Context) error {
	s.m.Images = nil
	return os.RemoveAll(s.m.path(host.StoreDir))
}
