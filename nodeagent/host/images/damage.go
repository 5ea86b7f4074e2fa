// SPDX-License-Identifier: Apache-2.0

package images

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// readable tells whether the store's records can be read. The library reads them once and all together.
func (s *Store) readable() error {
	store, err := s.store()
	if err != nil {
		return err
	}
	if _, err := store.Images(); err != nil {
		return fmt.Errorf("reading image store %s: %w", s.graph, err)
	}
	if _, err := store.Layers(); err != nil {
		return fmt.Errorf("reading image store %s: %w", s.graph, err)
	}
	if _, err := store.Containers(); err != nil {
		return fmt.Errorf("reading image store %s: %w", s.graph, err)
	}
	return nil
}

// giveUp deletes a store that is damaged beyond repair, so that the next pull makes another. While something is mounted from it, it stays:
// running sandboxes would lose their files. The error is the damage.
func (s *Store) giveUp(damage error) error {
	inUse, err := s.mounted()
	if err != nil || inUse {
		return errors.Join(damage, err)
	}
	if s.open != nil {
		s.open.Free()
		s.open = nil
	}
	return errors.Join(fmt.Errorf("image store %s is given up: %w", s.graph, damage), s.remove())
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
