// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"io/fs"
	"os"
)

// entry is what one path holds, without its content.
type entry struct {
	mode fs.FileMode
	size int64
	link string
}

// observe lists everything below the root by path, slash separated. Links are read, not followed.
func observe(ctx context.Context, root *os.Root) (map[string]entry, error) {
	found := map[string]entry{}
	err := fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
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
