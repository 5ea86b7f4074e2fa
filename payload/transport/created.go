// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// created are the files and directories that were made and are not needed if what follows fails.
type created []string

// directories makes a directory and those above it.
func (c *created) directories(dir string) error {
	if parent := filepath.Dir(dir); parent != dir {
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
			if err := c.directories(parent); err != nil {
				return err
			}
		}
	}
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		*c = append(*c, dir)
	}
	return err
}

// file makes a file that is not there yet.
func (c *created) file(name string, content []byte) error {
	if exists(name) {
		return nil
	}
	*c = append(*c, name)
	return replace(name, content)
}

// move moves a file to where there may be one with the same content.
func (c *created) move(from, to string) error {
	if !exists(to) {
		*c = append(*c, to)
	}
	return errors.Join(os.Chmod(from, fileMode), os.Rename(from, to))
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// undo deletes what was made, last things first. A directory that has got something else stays.
func (c *created) undo() error {
	var problems []error
	for _, name := range slices.Backward(*c) {
		err := os.Remove(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
