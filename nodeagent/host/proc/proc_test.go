// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/host/proc"
)

// child starts a program that runs until the returned function is called.
func child(t *testing.T, path string, args ...string) (pid int, end func()) {
	t.Helper()
	return started(t, exec.CommandContext(t.Context(), path, args...))
}

// started starts a command that copies its input, and returns once it does.
func started(t *testing.T, c *exec.Cmd) (pid int, end func()) {
	t.Helper()
	input, err := c.StdinPipe()
	require.NoError(t, err)
	output, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	_, err = io.WriteString(input, "x")
	require.NoError(t, err)
	_, err = io.ReadFull(output, make([]byte, 1))
	require.NoError(t, err)
	return c.Process.Pid, func() { require.NoError(t, input.Close()); require.NoError(t, c.Wait()) }
}

// installed copies cat, which runs as long as its input does, to a path below a root.
func installed(t *testing.T, root, path string) string {
	t.Helper()
	cat, err := exec.LookPath("cat")
	require.NoError(t, err)
	program, err := os.ReadFile(cat)
	require.NoError(t, err)
	file := filepath.Join(root, path)
	hosttest.Program(t, file, program)
	return file
}

func using(t *testing.T, root, dir string) []host.Process {
	t.Helper()
	if os.Getpid() != 1 {
		t.Skip("a process table of its own needs root")
	}
	found, err := proc.Below(root).Using(dir)
	require.NoError(t, err)
	return found
}

func TestWhoExecutesAFileOfThePayloadUsesIt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	shim := installed(t, root, "versions/v1/payload/shim")
	pid, end := child(t, shim)
	found := using(t, root, "/versions")
	require.Len(t, found, 1)
	assert.WithinDuration(t, time.Now(), found[0].Since, time.Minute)
	found[0].Since = time.Time{}
	assert.Equal(t, host.Process{PID: pid, Args: []string{shim}, Paths: []string{"/versions/v1/payload/shim"}}, found[0])
	assert.Empty(t, using(t, root, "/versions/v"), "a directory, not a prefix")
	assert.Empty(t, using(t, root, "/versions/v2"))
	end()
	assert.Empty(t, using(t, root, "/versions"))
}

func TestWhoExecutesThroughALinkUsesWhatTheLinkNamedThen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	installed(t, root, "versions/v1/shim")
	link := filepath.Join(root, "current")
	require.NoError(t, os.Symlink("versions/v1", link))
	_, end := child(t, filepath.Join(link, "shim"))
	require.NoError(t, os.Remove(link))
	found := using(t, root, "/versions")
	require.Len(t, found, 1)
	assert.Equal(t, []string{"/versions/v1/shim"}, found[0].Paths)
	end()
}

func TestWhoNamesAFileOfThePayloadUsesIt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	guest := filepath.Join(root, "versions/v1/payload/vmlinux")
	require.NoError(t, os.MkdirAll(filepath.Dir(guest), 0o755))
	require.NoError(t, os.WriteFile(guest, []byte("guest"), 0o644))
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	pid, end := child(t, sh, "-c", "cat; :", "qemu", "-machine", "q35,kernel="+guest)
	found := using(t, root, "/versions")
	require.Len(t, found, 1)
	assert.Equal(t, pid, found[0].PID)
	assert.Equal(t, []string{"/versions/v1/payload/vmlinux"}, found[0].Paths)
	end()
}

// read returns how many bytes this process has read.
func read(t *testing.T) int {
	t.Helper()
	counters, err := os.ReadFile("/proc/self/io")
	require.NoError(t, err)
	var bytes int
	_, err = fmt.Sscanf(string(counters), "rchar: %d", &bytes)
	require.NoError(t, err)
	return bytes
}

func TestProcessesThatUseNothingAreNotReadAgain(t *testing.T) { //nolint:paralleltest // it counts what this process reads
	root := t.TempDir()
	shim := installed(t, root, "slots/v1/payload/shim")
	cat := installed(t, root, "elsewhere/cat")
	for range 20 {
		_, end := child(t, cat)
		defer end()
	}
	using(t, root, "/slots") // skips where the table is not this test's own
	table := proc.Below(root)
	var looks []int
	for range 3 {
		before := read(t)
		found, err := table.Using("/slots")
		require.NoError(t, err)
		assert.Empty(t, found)
		looks = append(looks, read(t)-before)
	}
	assert.Less(t, looks[2], looks[0]/2)

	pid, end := child(t, shim)
	defer end()
	for range 3 {
		found, err := table.Using("/slots")
		require.NoError(t, err)
		require.Len(t, found, 1, "a process that began later is found at every look")
		assert.Equal(t, pid, found[0].PID)
	}
}

func TestProcessesMayEndWhileTheyAreLookedAt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				assert.NoError(t, exec.CommandContext(t.Context(), "true").Run())
			}
		}
	}()
	for range 50 {
		assert.Empty(t, using(t, root, "/versions"))
	}
	close(stop)
	<-ended
}
