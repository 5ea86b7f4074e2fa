// SPDX-License-Identifier: Apache-2.0

// Package machinetest has what holds for a machine of each kind: one whose kernel is this host's,
// and a virtual one.
package machinetest

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/machine"
)

// Conforms tries what tests do with a machine that is on: commands, its network, its files, mounts
// and journal.
func Conforms(t *testing.T, m *machine.Machine) {
	t.Helper()
	commands(t, m)
	GivesUp(t, m)
	Connects(t, m)(t)
	Answers(t, m)
	files(t, m)
}

// commands have arguments, an error and an end.
func commands(t *testing.T, m *machine.Machine) {
	t.Helper()
	out, err := m.Exec(t.Context(), "printf", "%s|", "a b", "it's", "", "$HOME")
	require.NoError(t, err)
	assert.Equal(t, "a b|it's||$HOME|", string(out))
	var exit *exec.ExitError
	_, err = m.Exec(t.Context(), "sh", "-c", "echo reason >&2; exit 3")
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 3, exit.ExitCode())
	require.ErrorContains(t, err, "reason")
}

// GivesUp starts a command, gives it up, and waits until it has ended in the machine.
func GivesUp(t *testing.T, m *machine.Machine) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	command, err := m.Command(ctx, "sh", "-c", "echo started; exec sleep 4242")
	require.NoError(t, err)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	_, err = out.Read(make([]byte, 16))
	require.NoError(t, err)
	cancel()
	require.Error(t, command.Wait())
	require.Eventually(t, func() bool {
		_, err := m.Exec(t.Context(), "pgrep", "-f", "sleep 4242")
		return err != nil
	}, 2*time.Minute, 20*time.Millisecond)
}

// Connects opens a port for the machine; asks has the machine connect to it, also after a boot.
func Connects(t *testing.T, m *machine.Machine) (asks func(*testing.T)) {
	t.Helper()
	listener, err := m.Listen(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("from the host\n")) //nolint:errcheck // The test sees what is missing.
			_ = conn.Close()                             //nolint:errcheck // As above.
		}
	}()
	host, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return func(t *testing.T) {
		t.Helper()
		answer, err := m.Exec(t.Context(), "bash", "-c", "cat < /dev/tcp/"+host+"/"+port)
		require.NoError(t, err)
		assert.Equal(t, "from the host\n", string(answer))
	}
}

// Answers opens a port in the machine and connects to it.
func Answers(t *testing.T, m *machine.Machine) {
	t.Helper()
	_, err := m.Exec(t.Context(), "systemd-run", "--unit=answer", "systemd-socket-activate", "--accept", "--inetd", "--listen="+m.Address().String()+":7", "echo", "from the machine")
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", m.Address().String()+":7")
		require.NoError(c, err)
		defer conn.Close()
		answer, err := io.ReadAll(conn)
		require.NoError(c, err)
		assert.Equal(c, "from the machine\n", string(answer))
	}, time.Minute, 20*time.Millisecond)
	_, err = m.Exec(t.Context(), "systemctl", "stop", "answer.service")
	require.NoError(t, err)
}

func files(t *testing.T, m *machine.Machine) {
	t.Helper()
	require.NoError(t, m.WriteFile("/var/tmp/test/file", []byte("content"), 0o600))
	content, err := m.ReadFile(t.Context(), "/var/tmp/test/file")
	require.NoError(t, err)
	assert.Equal(t, "content", string(content))
	_, err = m.ReadFile(t.Context(), "/var/tmp/test/none")
	require.ErrorIs(t, err, os.ErrNotExist)
	root, err := m.Open(t.Context(), "/var/tmp/test/f*", "/var/tmp/none")
	require.NoError(t, err)
	info, err := root.Stat("var/tmp/test/file")
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	require.NoError(t, root.Close())
	_, err = m.Exec(t.Context(), "rm", "-r", "/var/tmp/test")
	require.NoError(t, err)
	mounts, err := m.Mounts(t.Context())
	require.NoError(t, err)
	assert.NotEmpty(t, mounts)
	journal, err := m.Journal(t.Context(), "dbus.service")
	require.NoError(t, err)
	assert.Contains(t, journal, "dbus")
}
