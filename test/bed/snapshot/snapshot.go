// SPDX-License-Identifier: Apache-2.0

// Package snapshot records a file tree byte for byte and says what differs between two records. It
// looks at content, mode, owner and link target, and not at times: a file that was written again
// with the same bytes is the same.
package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Entry is what is known of one path.
type Entry struct {
	Mode fs.FileMode
	UID  uint32
	GID  uint32
	// Size in bytes and SHA256 in hex, of regular files only.
	Size   int64
	SHA256 string
	// Target of a symbolic link.
	Target string
}

// Snapshot maps absolute paths, as seen from the root that was recorded, to what is there.
type Snapshot map[string]Entry

// Take records everything at and below the given paths in root. A path may be a pattern of
// [path.Match]; what is not there is not recorded. It follows no link, and it descends into mounts.
func Take(root *os.Root, patterns ...string) (Snapshot, error) {
	taken := Snapshot{}
	for _, pattern := range patterns {
		paths, err := fs.Glob(root.FS(), strings.TrimPrefix(filepath.Clean(pattern), "/"))
		if err != nil {
			return nil, fmt.Errorf("taking snapshot of %q: %w", pattern, err)
		}
		for _, path := range paths {
			if err := taken.add(root, path); err != nil {
				return nil, fmt.Errorf("taking snapshot of %q: %w", pattern, err)
			}
		}
	}
	return taken, nil
}

// Without returns the snapshot less the given paths and all below them.
func (s Snapshot) Without(paths ...string) Snapshot {
	left := maps.Clone(s)
	maps.DeleteFunc(left, func(path string, _ Entry) bool {
		return slices.ContainsFunc(paths, func(excluded string) bool {
			return path == excluded || strings.HasPrefix(path, excluded+"/")
		})
	})
	return left
}

// Diff says in one line per path what is different after, sorted by path. It is empty for equal
// snapshots.
func Diff(before, after Snapshot) []string {
	var lines []string
	for path, was := range before {
		is, there := after[path]
		if !there {
			lines = append(lines, fmt.Sprintf("%s: gone (was %+v)", path, was))
		} else if is != was {
			lines = append(lines, fmt.Sprintf("%s: was %+v, is %+v", path, was, is))
		}
	}
	for path, is := range after {
		if _, there := before[path]; !there {
			lines = append(lines, fmt.Sprintf("%s: new (%+v)", path, is))
		}
	}
	slices.Sort(lines)
	return lines
}

func (s Snapshot) add(root *os.Root, top string) error {
	return fs.WalkDir(root.FS(), top, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			s["/"+path], err = inspect(root, path)
		}
		if errors.Is(err, fs.ErrNotExist) { // It went away while we looked.
			delete(s, "/"+path)
			return nil
		}
		return err
	})
}

func inspect(root *os.Root, path string) (Entry, error) {
	info, err := root.Lstat(path)
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{Mode: info.Mode()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		entry.UID, entry.GID = stat.Uid, stat.Gid
	}
	switch {
	case info.Mode().IsRegular():
		entry.Size = info.Size()
		entry.SHA256, err = digest(root, path)
	case info.Mode()&fs.ModeSymlink != 0:
		entry.Target, err = root.Readlink(path)
	}
	return entry, err
}

func digest(root *os.Root, path string) (string, error) {
	file, err := root.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
