// SPDX-License-Identifier: Apache-2.0

// Package files is durable, atomic changes of small files: every change is one rename, on disk when
// the call returns. Temporary names are fixed, so that what a crash leaves behind is overwritten by
// the next try.
package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/kata-node/kata-node/internal/safefile"
)

// Tree is the part of a file system below a root.
type Tree struct{ root string }

// Below returns the tree below root; "/" is the host itself.
func Below(root string) Tree { return Tree{root: root} }

// Path returns where a path of the host lies for this process.
func (t Tree) Path(path string) string { return filepath.Join(t.root, path) }

// maxRead is the largest file that Read returns, in bytes. Records, settings and fragments are far
// smaller.
const maxRead = 1 << 20

// Read returns the content of a regular file of at most 1 MiB.
func (t Tree) Read(path string) ([]byte, error) { return safefile.ReadPath(t.Path(path), maxRead) }

// Readlink returns a link's target.
func (t Tree) Readlink(path string) (string, error) { return os.Readlink(t.Path(path)) }

// List returns the names in a directory, sorted; none where there is no directory.
func (t Tree) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(t.Path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, err
}

// Write replaces a file unless it is equal already.
func (t Tree) Write(path string, content []byte, mode fs.FileMode) error {
	path = t.Path(path)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	staged := staging(path)
	if err := os.RemoveAll(staged); err != nil {
		return err
	}
	if err := writeDurably(staged, content, mode); err != nil {
		return errors.Join(err, os.RemoveAll(staged))
	}
	return rename(staged, path)
}

// Link replaces a symbolic link unless it is equal already.
func (t Tree) Link(path, target string) error {
	path = t.Path(path)
	if old, err := os.Readlink(path); err == nil && old == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	staged := staging(path)
	if err := os.RemoveAll(staged); err != nil {
		return err
	}
	if err := os.Symlink(target, staged); err != nil {
		return err
	}
	return rename(staged, path)
}

// Remove deletes a file or tree and what an interrupted Write or Link of it left. It refuses a tree
// in which something is mounted.
func (t Tree) Remove(path string) error {
	path = t.Path(path)
	mounted, err := mountinfo.GetMounts(mountinfo.PrefixFilter(path))
	if err != nil {
		return fmt.Errorf("reading the mount table: %w", err)
	}
	if len(mounted) > 0 {
		return fmt.Errorf("removing %s: %s is mounted there: unmount it first", path, mounted[0].Mountpoint)
	}
	if err := errors.Join(os.RemoveAll(path), os.RemoveAll(staging(path))); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// crioDropIns is a directory of which CRI-O reads every file, temporary ones too.
const crioDropIns = "crio.conf.d"

// staging returns the temporary name of a path, on the same file system and out of the sight of
// those who read whole directories.
func staging(path string) string {
	dir, base := filepath.Split(path)
	if filepath.Base(dir) == crioDropIns {
		dir = filepath.Dir(strings.TrimSuffix(dir, "/"))
	}
	return filepath.Join(dir, "."+base+".kata-agent")
}

func writeDurably(path string, content []byte, mode fs.FileMode) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(content); err != nil {
		return err
	}
	// The umask of the service is stricter than what CRI-O and people must be able to read.
	if err := f.Chmod(mode); err != nil {
		return err
	}
	return f.Sync()
}

func rename(staged, path string) error {
	if err := os.Rename(staged, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) (err error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing directory %s: %w", dir, err)
	}
	return nil
}
