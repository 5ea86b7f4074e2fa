// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// memory is the file system in memory that systemd mounts on every host. In a container it may
	// have 64 MiB.
	memory = "/dev/shm"
	// room is far more than the hosts of a test take.
	room = 1 << 30
)

// MemoryDir returns a directory that is deleted when the test ends: one in memory, where there is
// room for it, and as TempDir otherwise. A test that makes many small hosts takes less than half
// as long there.
func MemoryDir(tb testing.TB) string {
	tb.Helper()
	var fs unix.Statfs_t
	if unix.Statfs(memory, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < room { //nolint:gosec // A block size is positive.
		return tb.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "kata-node-test-") //nolint:usetesting // TempDir is below TMPDIR.
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("deleting the test's directory: %v", err)
		}
	})
	return dir
}
