// SPDX-License-Identifier: Apache-2.0

package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned for a lock that another process holds.
var ErrLocked = errors.New("another process holds the lock")

// Lock takes a lock for as long as this process runs, or until it is released. It does not wait:
// the kernel releases the lock of a process that ends, however it ends.
func (t Tree) Lock(path string) (release func() error, err error) {
	path = t.Path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("taking lock %s: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("taking lock: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("taking lock %s: %w", path, err), file.Close())
	}
	return file.Close, nil
}
