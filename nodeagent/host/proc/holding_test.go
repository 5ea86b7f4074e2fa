// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/proc"
)

const slot = "/slots/v1/payload"

// standing starts a process with a working directory and, beyond its own, one open file.
func standing(t *testing.T, dir string, open *os.File) (pid int, end func()) {
	t.Helper()
	cat, err := exec.LookPath("cat")
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), cat)
	c.Dir, c.ExtraFiles = dir, []*os.File{open}
	return started(t, c)
}

func holding(t *testing.T, root, dir string, most int) []host.Process {
	t.Helper()
	if os.Getpid() != 1 {
		t.Skip("a process table of its own needs root")
	}
	found, err := proc.Below(root).Holding(dir, most)
	require.NoError(t, err)
	return found
}

func payloadFile(t *testing.T, root string) *os.File {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(root, slot), 0o755))
	name := filepath.Join(root, slot, "vmlinux")
	require.NoError(t, os.WriteFile(name, []byte("guest"), 0o600))
	opened, err := os.Open(name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = opened.Close() }) //nolint:errcheck // a test may have closed it
	return opened
}

func TestWhoHasADirectoryOrAFileOpenHoldsTheMount(t *testing.T) { //nolint:paralleltest // a child of another test may have inherited an open file
	root := t.TempDir()
	opened := payloadFile(t, root)
	none, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer func() { assert.NoError(t, none.Close()) }()
	inside, end := standing(t, filepath.Join(root, slot), none)
	defer end()
	reader, end := standing(t, "/", opened)
	defer end()
	want := []host.Process{{PID: inside, Name: "cat"}, {PID: reader, Name: "cat"}, {PID: os.Getpid(), Name: self(t)}}
	assert.Empty(t, holding(t, root, "/slots/v1/pay", 3), "a directory, not a prefix")
	assert.ElementsMatch(t, want, holding(t, root, slot, 9))
	assert.Len(t, holding(t, root, slot, 2), 2)
	require.NoError(t, opened.Close())
	assert.ElementsMatch(t, want[:2], holding(t, root, slot, 9))
	assert.Empty(t, holding(t, root, "/slots/v2/payload", 9))
}

func TestWhoMapsAFileHoldsTheMount(t *testing.T) { //nolint:paralleltest // a child of another test may have inherited an open file
	root := t.TempDir()
	opened := payloadFile(t, root)
	memory, err := unix.Mmap(int(opened.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	require.NoError(t, err)
	require.NoError(t, opened.Close())
	assert.Equal(t, []host.Process{{PID: os.Getpid(), Name: self(t)}}, holding(t, root, slot, 9))
	require.NoError(t, unix.Munmap(memory))
	assert.Empty(t, holding(t, root, slot, 9))
}

// self is how the kernel lists this process.
func self(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	require.NoError(t, err)
	return strings.TrimSpace(string(name))
}
