// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrDisk is what a call returns that a test made fail.
var ErrDisk = errors.New("input/output error")

// calls are those of the disk below host.Files.
type calls interface {
	Mkdir(path string) error
	Create(path string, content func(io.Writer) error, mode fs.FileMode) error
	Symlink(target, path string) error
	Rename(from, to string) error
	Remove(path string) error
	Sync(path string) error
}

// Disk is a real directory that fails, and loses what was not synced, when a test says so.
type Disk struct {
	// Calls counts calls. The one numbered FailAt fails without effect; the agent dies before the
	// one numbered StopBefore and after the one numbered StopAfter. 0 is never.
	Calls, FailAt, StopBefore, StopAfter int

	below calls
	spare string
	dead  bool
	kept  int
	// names are changes of names that no sync of their directory has made durable, oldest first.
	names []change
	// content are links in spare to files whose content was not synced, by inode.
	content map[uint64]string
}

// change is one name that changed in a directory.
type change struct {
	dir  string
	undo func() error
}

// NewDisk returns a disk over a real one. What it may have to bring back it keeps in the directory
// spare, on the same file system.
func NewDisk(below calls, spare string) *Disk {
	return &Disk{below: below, spare: spare, content: map[uint64]string{}}
}

// Revive begins the next life, in which nothing fails.
func (d *Disk) Revive() { d.dead, d.FailAt, d.StopBefore, d.StopAfter = false, 0, 0, 0 }

// LosePower undoes what was not synced: names go back to what they were, files become empty.
func (d *Disk) LosePower() error {
	var errs []error
	for _, c := range slices.Backward(d.names) {
		errs = append(errs, c.undo())
	}
	for _, file := range d.content {
		errs = append(errs, os.Truncate(file, 0))
	}
	d.names, d.content = nil, map[uint64]string{}
	return errors.Join(errs...)
}

// call is the gate of every call.
func (d *Disk) call(do func() error) error {
	if d.dead {
		return ErrCrash
	}
	d.Calls++
	switch d.Calls {
	case d.FailAt:
		return ErrDisk
	case d.StopBefore:
		d.dead = true
		return ErrCrash
	}
	err := do()
	if d.Calls == d.StopAfter {
		d.dead = true
		return ErrCrash
	}
	return err
}

// keep returns a new name in spare.
func (d *Disk) keep() string {
	d.kept++
	return filepath.Join(d.spare, strconv.Itoa(d.kept))
}

func (d *Disk) changed(path string, undo func() error) {
	d.names = append(d.names, change{filepath.Dir(path), undo})
}

// appears does what makes a name.
func (d *Disk) appears(path string, do func() error) error {
	return d.call(func() error {
		if err := do(); err != nil {
			return err
		}
		d.changed(path, func() error { return os.RemoveAll(path) })
		return nil
	})
}

// Mkdir makes a directory.
func (d *Disk) Mkdir(path string) error {
	return d.appears(path, func() error { return d.below.Mkdir(path) })
}

// Symlink makes a link.
func (d *Disk) Symlink(target, path string) error {
	return d.appears(path, func() error { return d.below.Symlink(target, path) })
}

// Create makes a file.
func (d *Disk) Create(path string, content func(io.Writer) error, mode fs.FileMode) error {
	return d.appears(path, func() error {
		if err := d.below.Create(path, content, mode); err != nil {
			return err
		}
		number, err := inode(path)
		if err != nil {
			return err
		}
		d.content[number] = d.keep()
		return os.Link(path, d.content[number])
	})
}

// Rename keeps what it replaces.
func (d *Disk) Rename(from, to string) error {
	return d.call(func() error {
		old := d.keep()
		replaces := os.Link(to, old) == nil
		if err := d.below.Rename(from, to); err != nil {
			return err
		}
		d.changed(to, func() error {
			if err := os.Rename(to, from); err != nil || !replaces {
				return err
			}
			return os.Rename(old, to)
		})
		return nil
	})
}

// Remove keeps what it removes.
func (d *Disk) Remove(path string) error {
	return d.call(func() error {
		old := d.keep()
		err := os.Rename(path, old)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			d.changed(path, func() error { return os.Rename(old, path) })
		}
		return err
	})
}

// Sync makes durable what it is asked to, and nothing else.
func (d *Disk) Sync(path string) error {
	return d.call(func() error {
		if err := d.below.Sync(path); err != nil {
			return err
		}
		number, err := inode(path)
		if err != nil {
			return err
		}
		delete(d.content, number)
		d.names = slices.DeleteFunc(d.names, func(c change) bool { return c.dir == path })
		return nil
	})
}

func inode(path string) (uint64, error) {
	var s unix.Stat_t
	err := unix.Lstat(path, &s)
	return s.Ino, err
}
