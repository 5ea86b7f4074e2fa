// SPDX-License-Identifier: Apache-2.0

package machine_test

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/machine"
)

// asOwner names the machine that a child of this test program shall boot before it is killed.
const asOwner = "MACHINE_TEST_OWNER"

func TestNothingIsLeftAfterRemove(t *testing.T) {
	t.Parallel()
	m := off(t, "leaves-nothing")
	require.NoError(t, m.Boot(t.Context()))
	require.NotEmpty(t, traces(t, "leaves-nothing"))

	require.NoError(t, m.Remove(context.WithoutCancel(t.Context())))
	assert.Empty(t, traces(t, "leaves-nothing"))
	assert.NoError(t, m.Remove(context.WithoutCancel(t.Context())), "removing it again")
}

func TestMachineIsRemovedWhileItReboots(t *testing.T) {
	t.Parallel()
	for range 3 {
		m := off(t, "rebooting")
		require.NoError(t, m.Boot(t.Context()))
		_, err := m.Exec(t.Context(), "systemctl", "reboot", "--force", "--force", "--no-block")
		t.Log("the command was cut short by what it asked for:", err)
		require.NoError(t, m.Remove(context.WithoutCancel(t.Context())))
		assert.Empty(t, traces(t, "rebooting"))
	}
}

func TestSweepRemovesTheMachinesOfADeadOwnerOnly(t *testing.T) {
	t.Parallel()
	if name := os.Getenv(asOwner); name != "" {
		beOwner(t, name)
	}
	mine := on(t, "alive")
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	owner.Env = append(os.Environ(), asOwner+"=orphan")
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "booted") {
	}
	require.NotEmpty(t, traces(t, "orphan"))
	require.NoError(t, owner.Process.Kill())
	require.Error(t, owner.Wait())

	require.NoError(t, machine.Sweep(t.Context(), filepath.Join(cacheDir(t), "machines")))
	assert.Empty(t, traces(t, "orphan"))
	_, err = mine.Exec(t.Context(), "true")
	assert.NoError(t, err, "the machine of a living owner stays on")
}

// beOwner boots a machine and waits for its end.
func beOwner(t *testing.T, name string) {
	t.Helper()
	m := off(t, name)
	require.NoError(t, m.Boot(t.Context()))
	os.Stdout.WriteString("booted\n")
	<-t.Context().Done()
}

// traces lists what a host knows of a machine: processes, cgroups, mounts, directories.
func traces(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	for _, parent := range []string{"/sys/fs/cgroup", "/run/systemd/nspawn/propagate"} {
		_ = filepath.WalkDir(parent, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && ours(entry.Name(), name) {
				found = append(found, path)
			}
			return nil
		})
	}
	directories, err := filepath.Glob(filepath.Join(cacheDir(t), "machines", "katabed-*", name))
	require.NoError(t, err)
	found = append(found, directories...)
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/self/mountinfo"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			content, _ := os.ReadFile(file)
			if strings.Contains(string(content), "/machines/katabed-") && strings.Contains(string(content), "/"+name+"/root") {
				found = append(found, file)
			}
		}
	}
	return found
}

func ours(entry, name string) bool {
	return strings.HasPrefix(entry, "katabed-") && strings.HasSuffix(entry, "-"+name)
}
