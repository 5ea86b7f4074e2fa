// SPDX-License-Identifier: Apache-2.0

package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Disk is every call by which a Tree changes the disk. Nothing of it is durable before a Sync: of
// the file for its content, of the directory for a name in it.
type Disk interface {
	// Mkdir makes one directory.
	Mkdir(path string) error
	// Create makes a new file with what a function writes.
	Create(path string, content func(io.Writer) error, mode fs.FileMode) error
	// Symlink makes a new symbolic link.
	Symlink(target, path string) error
	// Rename replaces what is at the new path.
	Rename(from, to string) error
	// Remove deletes a file or a tree, and returns nil where there is none.
	Remove(path string) error
	// Sync returns once a file's content or a directory's names are on disk.
	Sync(path string) error
}

// Kernel is the disk of this machine.
type Kernel struct{}

// Mkdir makes a directory that everybody may read.
func (Kernel) Mkdir(path string) error { return os.Mkdir(path, 0o755) }

// Create refuses what exists.
func (Kernel) Create(path string, content func(io.Writer) error, mode fs.FileMode) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := content(f); err != nil {
		return err
	}
	// The umask of the service is stricter than what CRI-O and people must be able to read.
	return f.Chmod(mode)
}

// Symlink refuses what exists.
func (Kernel) Symlink(target, path string) error { return os.Symlink(target, path) }

// Rename replaces files and links.
func (Kernel) Rename(from, to string) error { return os.Rename(from, to) }

// Remove does not follow links.
func (Kernel) Remove(path string) error { return os.RemoveAll(path) }

// Sync takes a file system that cannot sync a directory, such as a read-only image, for one that
// has nothing to write.
func (Kernel) Sync(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = f.Sync()
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EROFS) {
		return nil
	}
	return fmt.Errorf("syncing %s: %w", path, err)
}
