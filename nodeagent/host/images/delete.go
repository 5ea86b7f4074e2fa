// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"go.podman.io/storage"
)

// Exists tells whether there is anything of the store on disk. An empty directory is nothing: it
// may be a file system of its own.
func (s *Store) Exists() bool {
	nothing, err := empty(s.graph)
	return err == nil && !nothing || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// lostAndFound is what a file system of its own has from its making on, where it is of type ext4.
const lostAndFound = "lost+found"

// empty reports whether nothing is in a directory but what its file system has put there.
func empty(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	return !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != lostAndFound }), err
}

// Delete unpins and deletes an image.
func (s *Store) Delete(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all() {
		if err := one.delete(id); err != nil {
			return err
		}
	}
	return s.settle()
}

func (s *Store) delete(id string) error {
	if err := os.Remove(s.noteFile(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting image %s: %w", id, err)
	}
	store, err := s.store()
	if err != nil {
		return err
	}
	if err := unpin(store, id); err != nil {
		return err
	}
	if _, err := store.DeleteImage(id, true); err != nil && !errors.Is(err, storage.ErrNotAnImage) {
		return fmt.Errorf("deleting image %s: %w", id, err)
	}
	return sweep(store)
}

// Discard deletes a damaged image so that the next pull reuses none of it. The store is a cache:
// all of it goes, as other layers may be damaged too. While something is mounted from the store,
// nothing but that image goes: a mounted version may share the damaged layer, and its sandboxes
// would lose their files. The next pull then goes to a store that has nothing of it.
func (s *Store) Discard(ctx context.Context, id string) error {
	inUse, err := s.mounted()
	switch {
	case err != nil:
		return err
	case inUse:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.distrust(id)
	default:
		return s.Destroy(ctx)
	}
}

// Destroy deletes the store. It is not shut down first, which writes records: on a full disk that
// fails, and this is what gives the space back.
func (s *Store) Destroy(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove()
}

// remove deletes the store's directories, and the one above them if it is empty then.
func (s *Store) remove() error {
	if s.open != nil {
		s.open.Free()
		s.open = nil
	}
	if s.second != nil {
		if err := s.second.remove(); err != nil {
			return err
		}
	}
	if err := s.endProbes(); err != nil {
		return fmt.Errorf("deleting image store %s: %w", s.graph, err)
	}
	for _, dir := range []string{s.graph, s.run} {
		if err := removeTree(dir); err != nil {
			return fmt.Errorf("deleting image store %s: %w", dir, err)
		}
	}
	_ = os.Remove(filepath.Dir(s.graph)) //nolint:errcheck // what has other content stays
	return nil
}

// removeTree leaves an empty directory where a file system of its own is mounted.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, syscall.EBUSY) {
		return err
	}
	if nothing, unread := empty(dir); unread == nil && nothing {
		return nil
	}
	return err
}
