// SPDX-License-Identifier: Apache-2.0

package bed_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/test/bed"
)

// asOwner tells a child of this test program to start a cluster and wait for its end.
const asOwner = "BED_TEST_OWNER"

func TestClusterOfAKilledTestIsCleanedUp(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	if os.Getenv(asOwner) != "" {
		beOwner(t)
	}
	assertCleanedUp(t, func(owner int) error { return unix.Kill(owner, unix.SIGKILL) })
}

func TestClusterOfAnInterruptedTestIsCleanedUp(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	if os.Getenv(asOwner) != "" {
		beOwner(t)
	}
	// As a terminal does: to all processes of the group.
	assertCleanedUp(t, func(owner int) error { return unix.Kill(-owner, unix.SIGINT) })
}

// assertCleanedUp ends a child of this test program that has a cluster.
func assertCleanedUp(t *testing.T, end func(owner int) error) {
	t.Helper()
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	owner.Env = append(os.Environ(), asOwner+"=yes")
	owner.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	home := ""
	for lines := bufio.NewScanner(out); home == "" && lines.Scan(); {
		_, home, _ = strings.Cut(lines.Text(), "home of the orphan: ")
	}
	require.NotEmpty(t, home)
	require.NotEmpty(t, remains(t, home))

	require.NoError(t, end(owner.Process.Pid))
	require.Error(t, owner.Wait())
	assert.Eventually(t, func() bool { return len(remains(t, home)) == 0 }, 2*time.Minute, 50*time.Millisecond)
	assert.Empty(t, remains(t, home))
}

func beOwner(t *testing.T) {
	t.Helper()
	cluster := start(t, bed.NodePrograms()...)
	addReal(t, cluster, bed.NodeOptions{})
	os.Stdout.WriteString("home of the orphan: " + filepath.Dir(filepath.Dir(cluster.Kubeconfig)) + "\n")
	<-t.Context().Done()
}

// remains lists what this host has of a cluster: its directory, cgroups, mounts and processes.
func remains(t *testing.T, home string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{home, "/sys/fs/cgroup/" + filepath.Base(home) + "*", "/sys/fs/cgroup/*/" + filepath.Base(home) + "*"} {
		matches, err := filepath.Glob(pattern)
		require.NoError(t, err)
		found = append(found, matches...)
	}
	for _, pattern := range []string{"/proc/self/mountinfo", "/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			if content, _ := os.ReadFile(file); strings.Contains(string(content), home) {
				found = append(found, file)
			}
		}
	}
	return found
}
