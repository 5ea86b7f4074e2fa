// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

// ownMounts is set where a test runs in a mount namespace that ends with it.
const ownMounts = "TEST_HAS_ITS_OWN_MOUNTS"

// TestAnEntryHasItsFields runs this program again where it may put a socket in the journal's place.
func TestAnEntryHasItsFields(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	if os.Getenv(ownMounts) == "" {
		again := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
		again.Env = append(os.Environ(), ownMounts+"=1")
		again.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
		out, err := again.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	require.NoError(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
	const socket = "/run/systemd/journal/socket"
	require.NoError(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	require.ErrorContains(t, systemd.Enter("nothing listens", systemd.Info, nil), "writing to the journal: ")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // nothing was written
	require.NoError(t, systemd.Enter("Failed: pull payload", systemd.Failure, map[string]string{"KATA_STEP": "pull payload"}))
	datagram := make([]byte, 4096)
	n, err := conn.Read(datagram)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"PRIORITY=3", "MESSAGE=Failed: pull payload", "KATA_STEP=pull payload", ""}, strings.Split(string(datagram[:n]), "\n"))
}

//nolint:paralleltest // it changes the environment of the process
func TestStandardErrorIsAStreamOfTheJournalWhereSystemdSaysSo(t *testing.T) {
	var stat unix.Stat_t
	require.NoError(t, unix.Fstat(2, &stat))
	for value, want := range map[string]bool{
		fmt.Sprintf("%d:%d", stat.Dev, stat.Ino):   true,
		fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1): false,
		"":     false,
		"text": false,
	} {
		t.Setenv("JOURNAL_STREAM", value)
		assert.Equal(t, want, systemd.Streams(), "%q", value)
	}
}
