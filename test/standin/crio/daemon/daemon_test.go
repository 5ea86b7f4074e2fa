// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/standin/crio/config"
	"github.com/kata-node/kata-node/test/standin/crio/daemon"
	"github.com/kata-node/kata-node/test/standin/crio/fault"
)

const crioConf = `[crio]
root = %q
runroot = %q
[crio.api]
listen = %q
[crio.runtime]
default_runtime = "plain"
[crio.runtime.runtimes.plain]
runtime_path = "/bin/true"
`

func options(t *testing.T) daemon.Options {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "crio.conf")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, crioConf, filepath.Join(dir, "root"), filepath.Join(dir, "run"), filepath.Join(dir, "crio.sock")), 0o600))
	log := logrus.New()
	log.SetOutput(io.Discard)
	return daemon.Options{Source: config.Source{File: file, Dir: filepath.Join(dir, "conf.d")}, Faults: fault.Dir(dir), Log: log}
}

// notifySocket is what systemd listens on.
func notifySocket(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) //nolint:errcheck // nothing is lost with it
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func receive(t *testing.T, conn *net.UnixConn, within time.Duration) (string, error) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(within)))
	buffer := make([]byte, 256)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}

//nolint:paralleltest // t.Setenv forbids it
func TestAStalledStartIsNotReadyUntilItIsReleased(t *testing.T) {
	notify, o := notifySocket(t), options(t)
	path := filepath.Join(string(o.Faults), fault.StallStart)
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, o) }()

	hold, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = receive(t, notify, 50*time.Millisecond)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, hold.Close())
	state, err := receive(t, notify, 10*time.Second)
	require.NoError(t, err)
	assert.Equal(t, "READY=1", state)
	cancel()
	require.NoError(t, <-ended)
}

func TestAStalledStartEndsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	o := options(t)
	path := filepath.Join(string(o.Faults), fault.StallStart)
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, o) }()
	hold, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoError(t, hold.Close())
}

func TestARefusedConfigurationComesBackBeforeAnythingListens(t *testing.T) {
	t.Parallel()
	o := options(t)
	require.NoError(t, os.MkdirAll(o.Source.Dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(o.Source.Dir, "x"), []byte("["), 0o600))
	require.ErrorContains(t, daemon.Run(t.Context(), o), "unable to decode configuration")
	assert.NoFileExists(t, filepath.Join(filepath.Dir(o.Source.File), "crio.sock"))
}
