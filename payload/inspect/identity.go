// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/manifest"
)

// Identity compares everything but contents, as Tree does, and returns what identifies the files in
// their file system: inode, time of birth, time of the last write, size and mode of each. Where it
// is equal at two moments of one boot, no file was replaced or written to in between. It says
// nothing of a disk that returns other bytes than were written. It is empty where the file system
// knows no times of birth: an inode's number may be another file's later.
//
// The time of the last change (ctime) is no part of it, because a pull that links a file into
// another layer changes it. Neither is the device: each overlay mount has its own.
func Identity(ctx context.Context, root string, m manifest.Manifest) (string, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return "", fmt.Errorf("identifying the files of a payload: %w", err)
	}
	defer dir.Close()
	listed := expected(m)
	found, err := observe(ctx, dir, listed)
	if err != nil {
		return "", fmt.Errorf("identifying the files of a payload: %w", err)
	}
	files, mismatch := compare(found, m, listed)
	if mismatch != nil {
		return "", mismatch
	}
	sum := sha256.New()
	for _, f := range append(files, manifest.File{Path: manifest.Path}) {
		s, err := status(filepath.Join(root, f.Path), unix.AT_SYMLINK_NOFOLLOW)
		if err != nil {
			return "", err
		}
		if s.Mask&unix.STATX_BTIME == 0 {
			return "", nil
		}
		fmt.Fprintf(sum, "%q %d %v %v %d %o\n", f.Path, s.Ino, s.Btime, s.Mtime, s.Size, s.Mode)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// FileIdentity writes what identifies a file that a path leads to, or that it leads to nothing.
// Every change of the file or of its attributes changes it.
func FileIdentity(out io.Writer, path string) error {
	s, err := status(path, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(out, "%q is missing\n", path)
		return nil
	case err != nil:
		return err
	}
	fmt.Fprintf(out, "%q %d:%d %d %v %v %v %d %o\n", path, s.Dev_major, s.Dev_minor, s.Ino, s.Btime, s.Mtime, s.Ctime, s.Size, s.Mode)
	return nil
}

func status(path string, flags int) (s unix.Statx_t, err error) {
	if err = unix.Statx(unix.AT_FDCWD, path, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &s); err != nil {
		err = &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return s, err
}
