// SPDX-License-Identifier: Apache-2.0

package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"go.podman.io/storage"

	"github.com/kata-node/kata-node/nodeagent/damage"
)

// readable returns why the store's records cannot be read, and whether that is because one of them
// is damaged. Any other reason, such as a full disk, passes, and nothing is deleted for it.
func (s *Store) readable() (damaged bool, err error) {
	store, err := s.store()
	if err == nil {
		err = readAll(store)
	}
	if err == nil {
		return false, nil
	}
	return s.torn() || damage.OfMedium(err), fmt.Errorf("reading image store %s: %w", s.graph, err)
}

// readAll reads records of every kind; the library reads each kind once and all together.
func readAll(store storage.Store) error {
	_, images := store.Images()
	_, layers := store.Layers()
	_, containers := store.Containers()
	return errors.Join(images, layers, containers)
}

// torn tells whether a file of records is no JSON.
func (s *Store) torn() bool {
	files, err := filepath.Glob(filepath.Join(s.graph, "overlay-*", "*.json"))
	return err == nil && slices.ContainsFunc(files, func(file string) bool {
		content, err := os.ReadFile(file)
		return err == nil && !json.Valid(content)
	})
}

// giveUp deletes a store that is damaged, so that the next pull makes another. While
// something is mounted from it, it stays: running sandboxes would lose their files. The error is
// the damage.
func (s *Store) giveUp(found error) error {
	inUse, err := s.mounted()
	if err != nil || inUse {
		return errors.Join(found, err)
	}
	return errors.Join(fmt.Errorf("image store %s is given up: %w", s.graph, found), s.remove())
}

// mounted tells whether any mount has a layer of the store below it.
func (s *Store) mounted() (bool, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("overlay"))
	if err != nil {
		return false, fmt.Errorf("reading the mount table: %w", err)
	}
	for _, m := range mounts {
		if strings.Contains(m.VFSOptions, s.graph+"/") {
			return true, nil
		}
	}
	return false, nil
}
