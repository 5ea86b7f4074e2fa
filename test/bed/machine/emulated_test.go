// SPDX-License-Identifier: Apache-2.0

package machine_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/qemu"
)

// toolsDir is where the virtual machine of the test has what its own guest starts from.
const toolsDir = "/opt/guest/"

func TestAVirtualMachineRunsGuestsAndLosesWhatItsKernelHadNotWritten(t *testing.T) { //nolint:paralleltest // It takes a processor and 2 GB.
	m := emulated(t, "emulated", guestTools(t))
	asks := reachable(t, m)
	timed(t, "boot", func() { require.NoError(t, m.Boot(t.Context())) })
	first := bootID(t, m)
	timed(t, "start of services", func() {
		state, err := m.AwaitRunning(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "running", state)
	})
	t.Run("a command has arguments, an error and an end", func(t *testing.T) { //nolint:paralleltest // In order.
		out, err := m.Exec(t.Context(), "printf", "%s|", "a b", "it's", "", "$HOME")
		require.NoError(t, err)
		assert.Equal(t, "a b|it's||$HOME|", string(out))
		var exit *exec.ExitError
		_, err = m.Exec(t.Context(), "sh", "-c", "echo reason >&2; exit 3")
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, 3, exit.ExitCode())
		require.ErrorContains(t, err, "reason")
		givenUp(t, m)
	})
	t.Run("its network leads to this process and back", func(t *testing.T) { //nolint:paralleltest // In order.
		asks(t)
		_, err := m.Exec(t.Context(), "systemd-run", "--unit=answer", "systemd-socket-activate", "--accept", "--inetd", "--listen="+m.Address().String()+":7", "echo", "from the machine")
		require.NoError(t, err)
		answers(t, m)
	})
	t.Run("it has files, mounts and a journal", func(t *testing.T) { //nolint:paralleltest // In order.
		require.NoError(t, m.WriteFile("/run/test/file", []byte("content"), 0o600))
		content, err := m.ReadFile(t.Context(), "/run/test/file")
		require.NoError(t, err)
		assert.Equal(t, "content", string(content))
		_, err = m.ReadFile(t.Context(), "/run/test/none")
		require.ErrorIs(t, err, os.ErrNotExist)
		root, err := m.Open(t.Context(), "/run/test/f*", "/run/none")
		require.NoError(t, err)
		info, err := root.Stat("run/test/file")
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
		require.NoError(t, root.Close())
		mounts, err := m.Mounts(t.Context())
		require.NoError(t, err)
		assert.NotEmpty(t, mounts)
		journal, err := m.Journal(t.Context(), "ssh.service")
		require.NoError(t, err)
		assert.Contains(t, journal, "Server listening")
	})
	virtualProcessorRuns := func(t *testing.T) { //nolint:thelper // A test of its own.
		out, err := m.Exec(t.Context(), toolsDir+"kvmprobe")
		require.NoError(t, err)
		assert.Equal(t, "2 + 3 = 5\n", string(out))
	}
	t.Run("a virtual processor runs", virtualProcessorRuns) //nolint:paralleltest // In order.
	t.Run("a guest boots in it", func(t *testing.T) {       //nolint:paralleltest // In order.
		timed(t, "guest", func() {
			out, err := m.Exec(t.Context(), "sh", "-ec", fmt.Sprintf(`exec timeout 120 %s -nodefaults -display none -no-reboot -serial stdio \
				-machine pc,accel=kvm -cpu host -m 256 -kernel /boot/vmlinuz-* -initrd %sinitrd -append "console=ttyS0 quiet panic=-1"`, qemu.Program, toolsDir))
			require.NoError(t, err, string(out))
			assert.Contains(t, string(out), "kvmprobe is the first process")
		})
	})
	_, err := m.Exec(t.Context(), "sh", "-ec", "echo synced > /etc/synced; sync; echo lost > /etc/unsynced")
	require.NoError(t, err)
	timed(t, "power cut", func() { require.NoError(t, m.PowerCut(t.Context())) })
	assert.NotEqual(t, first, bootID(t, m))
	synced, err := m.ReadFile(t.Context(), "/etc/synced")
	require.NoError(t, err)
	assert.Equal(t, "synced\n", string(synced))
	unsynced, _ := m.ReadFile(t.Context(), "/etc/unsynced") //nolint:errcheck // Its name may have been written.
	assert.Empty(t, unsynced)
	asks(t)

	cut := bootID(t, m)
	timed(t, "reboot", func() { require.NoError(t, m.Reboot(t.Context())) })
	assert.NotEqual(t, cut, bootID(t, m))
	t.Run("a virtual processor runs after a reboot", virtualProcessorRuns) //nolint:paralleltest // In order.
	asks(t)

	timed(t, "power off", func() { require.NoError(t, m.PowerOff(t.Context())) })
	synced, err = m.ReadFile(t.Context(), "/etc/synced")
	require.NoError(t, err)
	assert.Equal(t, "synced\n", string(synced))
	journal, err := m.Journal(t.Context(), "ssh.service")
	require.NoError(t, err)
	assert.Contains(t, journal, "Stopped ssh.service")
}

// guestTools is a layer with the host's QEMU, kvmprobe, and an initrd of kvmprobe alone.
func guestTools(t *testing.T) string {
	t.Helper()
	layer := t.TempDir()
	require.NoError(t, qemu.Copy(t.Context(), layer))
	dir := filepath.Join(layer, toolsDir)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	probe := filepath.Join(dir, "kvmprobe")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", probe, "../../cmd/kvmprobe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	content, err := os.ReadFile(probe)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "initrd"), initrd(content), 0o644))
	return layer
}

// initrd is an archive, see cpio(5), with one program, which the kernel starts, and its console.
func initrd(program []byte) []byte {
	var archive bytes.Buffer
	add := func(name string, mode, major, minor int, content []byte) {
		header := []int{0, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name) + 1, 0}
		archive.WriteString("070701")
		for _, field := range header {
			fmt.Fprintf(&archive, "%08x", field)
		}
		archive.WriteString(name + "\x00")
		archive.Write(make([]byte, -archive.Len()&3))
		archive.Write(content)
		archive.Write(make([]byte, -archive.Len()&3))
	}
	add("dev", 0o040755, 0, 0, nil)
	add("dev/console", 0o020600, 5, 1, nil)
	add("init", 0o100755, 0, 0, program)
	add("TRAILER!!!", 0, 0, 0, nil)
	return archive.Bytes()
}
