// SPDX-License-Identifier: Apache-2.0

package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.podman.io/storage"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// records is where the library keeps what it knows of images, below the store of a driver.
const records = "-images"

// Peek lists the images of the store without opening it, which writes locks and directories: it
// opens a copy of the records, without the layers.
func (s *Store) Peek() ([]host.Image, error) {
	images, err := s.peek()
	more, other := s.second.peek()
	return append(images, more...), errors.Join(err, other)
}

func (s *Store) peek() (images []host.Image, err error) {
	own := filepath.Join(s.graph, "overlay"+records)
	if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "kata-agent-images-")
	if err != nil {
		return nil, fmt.Errorf("copying the records of image store %s: %w", s.graph, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.CopyFS(filepath.Join(dir, "vfs"+records), os.DirFS(own)); err != nil {
		return nil, fmt.Errorf("copying the records of image store %s: %w", s.graph, err)
	}
	// The driver vfs asks nothing of the kernel.
	store, err := storage.GetStore(storage.StoreOptions{GraphRoot: dir, RunRoot: filepath.Join(dir, "run"), GraphDriverName: "vfs"})
	if err != nil {
		return nil, fmt.Errorf("opening a copy of the records of image store %s: %w", s.graph, err)
	}
	defer store.Free()
	return list(store)
}

func list(store storage.Store) ([]host.Image, error) {
	records, err := store.Images()
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	var images []host.Image
	for _, record := range records {
		images = append(images, describe(store, record))
	}
	return images, nil
}
