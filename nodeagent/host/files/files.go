// SPDX-License-Identifier: Apache-2.0

// Package files is durable, atomic changes of small files: every change is one rename, on disk when
// the call returns. Temporary names are fixed, so that what a crash leaves behind is overwritten by
// the next try.
package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/internal/safefile"
)

// Tree is the part of a file system below a root.
type Tree struct {
	root string
	disk Disk
}

// Below returns the tree below root; "/" is the host itself.
func Below(root string) Tree { return Tree{root: root, disk: Kernel{}} }

// On returns the same tree, changed through another disk.
func (t Tree) On(disk Disk) Tree { return Tree{root: t.root, disk: disk} }

// Path returns where a path of the host lies for this process.
func (t Tree) Path(path string) string { return filepath.Join(t.root, path) }

// maxRead is the largest file that Read returns, in bytes. Records, settings and fragments are far
// smaller; the MachineConfig of a node has at most 1.5 MiB.
const maxRead = 2 << 20

// Read returns the content of a regular file of at most 2 MiB.
func (t Tree) Read(path string) ([]byte, error) { return safefile.ReadPath(t.Path(path), maxRead) }

// Readlink returns a link's target.
func (t Tree) Readlink(path string) (string, error) { return os.Readlink(t.Path(path)) }

// Stat describes what a path leads to.
func (t Tree) Stat(path string) (fs.FileInfo, error) { return os.Stat(t.Path(path)) }

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

// Write replaces a file unless content and mode are equal already.
func (t Tree) Write(path string, content []byte, mode fs.FileMode) error {
	path = t.Path(path)
	return t.replace(path, equal(path, content, mode), func(staged string) error {
		return t.create(staged, func(w io.Writer) error { return whole(w, content) }, mode)
	})
}

func whole(w io.Writer, content []byte) error {
	_, err := w.Write(content)
	return err
}

// Stream replaces a file by what a function writes, as Write does. It is for files that are too
// large to be held in memory.
func (t Tree) Stream(path string, content func(io.Writer) error, mode fs.FileMode) error {
	path = t.Path(path)
	return t.replace(path, false, func(staged string) error { return t.create(staged, content, mode) })
}

func (t Tree) create(staged string, content func(io.Writer) error, mode fs.FileMode) error {
	if err := t.disk.Create(staged, content, mode); err != nil {
		return err
	}
	return t.disk.Sync(staged)
}

// equal reads no more than a file of the same size.
func equal(path string, content []byte, mode fs.FileMode) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != mode.Perm() || info.Size() != int64(len(content)) {
		return false
	}
	old, err := os.ReadFile(path)
	return err == nil && bytes.Equal(old, content)
}

// Link replaces a symbolic link unless it is equal already.
func (t Tree) Link(path, target string) error {
	path = t.Path(path)
	old, err := os.Readlink(path)
	return t.replace(path, err == nil && old == target, func(staged string) error { return t.disk.Symlink(target, staged) })
}

// replace makes something under a temporary name and renames it to path. Where that is done already
// it only syncs: who did it may have died before it was on disk.
func (t Tree) replace(path string, done bool, stage func(staged string) error) error {
	if done {
		return t.sync(filepath.Dir(path))
	}
	if err := t.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	staged := staging(path)
	if err := t.disk.Remove(staged); err != nil {
		return err
	}
	if err := stage(staged); err != nil {
		return errors.Join(err, t.disk.Remove(staged))
	}
	if err := t.disk.Rename(staged, path); err != nil {
		return err
	}
	return t.sync(filepath.Dir(path))
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
	if err := errors.Join(t.disk.Remove(path), t.disk.Remove(staging(path))); err != nil {
		return err
	}
	return t.sync(filepath.Dir(path))
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

// mkdir makes a directory and its missing parents.
func (t Tree) mkdir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.mkdir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := t.disk.Mkdir(dir); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// sync makes the names in a directory durable, and those of its parents up to where its file system
// is mounted, or to the root: an earlier life may have made any of them and died before it was on
// disk. The directory that a file system is mounted on was there before. What does not exist needs
// no sync.
func (t Tree) sync(dir string) error {
	for root := filepath.Clean(t.root); ; dir = filepath.Dir(dir) {
		if err := t.disk.Sync(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if dir == root || dir == filepath.Dir(dir) || mountPoint(dir) {
			return nil
		}
	}
}

// mountPoint reports whether a directory is the root of a file system.
func mountPoint(dir string) bool {
	var own, parent unix.Stat_t
	return unix.Stat(dir, &own) == nil && unix.Stat(filepath.Dir(dir), &parent) == nil && own.Dev != parent.Dev
}
