// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

func TestNotifyMakesOneAssignmentOrNone(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // nothing was written
	t.Setenv("NOTIFY_SOCKET", socket)
	require.ErrorContains(t, systemd.Notify(systemd.Status, "denied: quota\nMAINPID=1"), "control character")
	require.NoError(t, systemd.Notify(systemd.Status, "pulling payload, 1 of 2 MB"))
	require.NoError(t, systemd.Notify(systemd.Ready, "1"))
	for _, want := range []string{"STATUS=pulling payload, 1 of 2 MB", "READY=1"} {
		datagram := make([]byte, 4096)
		n, err := conn.Read(datagram)
		require.NoError(t, err)
		assert.Equal(t, want, string(datagram[:n]))
	}
}
