// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Sees returns nil where a path leads to something in the mount namespace of a process. Links are
// followed from the root directory of that process (openat2(2), RESOLVE_IN_ROOT): without that, an
// absolute link below /proc/PID/root would lead to a file of this process.
func (t *Table) Sees(pid int, path string) error {
	root, err := os.Open(file(pid, "root"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening the root directory of process %d: %w", pid, unix.ESRCH)
	}
	if err != nil {
		return fmt.Errorf("opening the root directory of process %d: %w", pid, err)
	}
	defer func() { _ = root.Close() }() //nolint:errcheck // opened for reading only
	path = filepath.Join(t.root, path)
	found, err := unix.Openat2(int(root.Fd()), path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return fmt.Errorf("looking for %w", &fs.PathError{Op: "openat2", Path: path, Err: err})
	}
	return unix.Close(found)
}
