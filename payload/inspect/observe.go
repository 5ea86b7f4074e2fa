// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"fmt"
	"io/fs"
	"os"
)

// entry is what one path holds, without its content.
type entry struct {
	mode fs.FileMode
	size int64
	link string
}

// maxUnlisted bounds what is remembered of a tree that has more files than its manifest lists.
const maxUnlisted = 1000

// observe lists everything below the root by path, slash separated. Links are read, not followed. A
// tree with far more files than are listed is a *Mismatch: an image may have any number of them,
// and memory has not.
func observe(ctx context.Context, root *os.Root, listed map[string]judgement) (map[string]entry, error) {
	found, unlisted := map[string]entry{}, 0
	err := fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if listed[path] == nil {
			unlisted++
		}
		if unlisted > maxUnlisted {
			return &Mismatch{Path: path, Problem: fmt.Sprintf("is not in the manifest, like %d others", maxUnlisted)}
		}
		found[path], err = look(root, path)
		return err
	})
	return found, err
}

func look(root *os.Root, path string) (entry, error) {
	info, err := root.Lstat(path)
	if err != nil {
		return entry{}, err
	}
	e := entry{mode: info.Mode(), size: info.Size()}
	if e.mode.Type() == fs.ModeSymlink {
		e.link, err = root.Readlink(path)
	}
	return e, err
}
