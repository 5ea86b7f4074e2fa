// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/oci/archive"
	"golang.org/x/sys/unix"
)

// incoming is in the name of what is not complete yet.
const incoming = ".incoming-"

// toArchive writes the archive next to its place, and moves it there by one rename. The library
// writes into the file of that name itself, and leaves half of it after an error.
func (j *job) toArchive(ctx context.Context) error {
	dir, prefix := filepath.Dir(j.to.place), "."+filepath.Base(j.to.place)+incoming
	if err := removeAbandoned(dir, prefix); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, prefix)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // Its last change is synced below.
	if err := errors.Join(lock(file), j.writeArchive(ctx, file)); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

func (j *job) writeArchive(ctx context.Context, file *os.File) error {
	to, err := archive.NewReference(file.Name(), j.to.tag)
	if err != nil {
		return err
	}
	epoch := time.Unix(0, 0)
	if err := j.copy(ctx, to, copy.Options{ImageListSelection: copy.CopyAllImages, DestinationTimestamp: &epoch}); err != nil {
		return err
	}
	if err := errors.Join(file.Chmod(fileMode), file.Sync()); err != nil {
		return err
	}
	return os.Rename(file.Name(), j.to.place)
}

// lock says that a file or directory is being written to, until it is closed or its process ends.
func lock(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("another process is writing to %s: wait until it has ended", file.Name())
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	return nil
}

// removeAbandoned deletes what processes have left that were killed as they wrote to the same
// place. A live one holds its lock.
func removeAbandoned(dir, prefix string) error {
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range there {
		if !strings.HasPrefix(entry.Name(), prefix) {
			continue
		}
		if err := removeUnlocked(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func removeUnlocked(name string) error {
	file, err := os.Open(filepath.Clean(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	if lock(file) != nil {
		return nil // It is in use.
	}
	return os.RemoveAll(name)
}
