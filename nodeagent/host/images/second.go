// SPDX-License-Identifier: Apache-2.0

package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.podman.io/storage/pkg/ioutils"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// A layer whose files are damaged on disk cannot be pulled again while a slot is mounted from it:
// the library names a layer by its content, finds the one that is there, and links its files into
// other layers. So pulls go to a second store then, which shares nothing with the first. It lies
// within the first, and so on the same file system. Both serve until the images of one of them are
// deleted.

// secondDir is where the second store is within the first. A file named distrusted in the first
// says that pulls go there.
const (
	secondDir  = "second"
	distrusted = "damaged"
)

// all are the stores that are on disk.
func (s *Store) all() []*Store {
	if s.second.Exists() {
		return []*Store{s, s.second}
	}
	return []*Store{s}
}

func (s *Store) mark() string { return filepath.Join(s.graph, distrusted) }

// target is the store that pulls go to.
func (s *Store) target() *Store {
	if _, err := os.Stat(s.mark()); err == nil {
		return s.second
	}
	return s
}

// has tells whether this store knows an image, also when it cannot be opened.
func (s *Store) has(id string) bool {
	if !s.Exists() {
		return false
	}
	images, _ := s.list() //nolint:errcheck // What can be mounted comes with an error, too.
	return slices.ContainsFunc(images, func(i host.Image) bool { return i.ID == id })
}

// distrust deletes a damaged image while something is mounted from one of the stores, so that the
// next pull reuses nothing of it. Where both are mounted, the second one stays, and the next pull
// finds the damage of it again.
func (s *Store) distrust(id string) error {
	if !s.second.has(id) {
		if err := ioutils.AtomicWriteFile(s.mark(), nil, 0o600); err != nil {
			return fmt.Errorf("noting that image store %s is damaged: %w", s.graph, err)
		}
		return s.delete(id)
	}
	inUse, err := s.second.mounted()
	if err != nil {
		return err
	}
	if inUse {
		return s.second.delete(id)
	}
	return s.second.remove()
}

// settle ends what a damaged image has made necessary: the second store goes with its last image,
// and the first one is as good as new without any.
func (s *Store) settle() error {
	images, err := s.list()
	if err != nil {
		return err
	}
	if len(images) == 0 {
		if err := os.Remove(s.mark()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("noting that image store %s has no damage: %w", s.graph, err)
		}
	}
	if !s.second.Exists() {
		return nil
	}
	if images, err = s.second.list(); err != nil {
		return err
	}
	inUse, err := s.second.mounted()
	if err != nil || inUse || len(images) > 0 {
		return err
	}
	return s.second.remove()
}
