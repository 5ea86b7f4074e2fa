// SPDX-License-Identifier: Apache-2.0

package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// writable are the bits of users other than the owner.
const writable = 0o022

// ReadOwned returns the content of a regular file that no user but the one of this process can have
// written: it and its directory are theirs, and neither the group nor others may write to them.
// Symbolic links are refused. The error is fs.ErrNotExist where there is no file.
func (t Tree) ReadOwned(path string) ([]byte, error) {
	path = t.Path(path)
	if err := owned(filepath.Dir(path)); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: put the file itself there", path)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := judge(path, info); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxRead+1))
	if err == nil && len(content) > maxRead {
		err = fmt.Errorf("%s has more than %d bytes", path, maxRead)
	}
	return content, err
}

func owned(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return judge(dir, info)
}

// judge says who else may write.
func judge(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch self := os.Geteuid(); {
	case !ok:
		return fmt.Errorf("the owner of %s is not known", path)
	case int(stat.Uid) != self:
		return fmt.Errorf("%s belongs to user %d, must belong to user %d: chown it", path, stat.Uid, self)
	case info.Mode().Perm()&writable != 0:
		return fmt.Errorf("%s has mode %04o, so that other users can write to it: chmod go-w it", path, info.Mode().Perm())
	}
	return nil
}
