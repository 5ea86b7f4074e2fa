// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal of 120 columns: pty(7).
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, master.Close()) })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}))
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, slave
}

func TestProgressIsDrawnOnATerminal(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	for term, drawn := range map[string]bool{"xterm": true, "dumb": false} {
		master, slave := terminal(t)
		cmd := exec.CommandContext(t.Context(), kataPayload, "build", "--from", stage(t, "/bin/sh"), "--describe", "test/payload/payload.toml", "--to", "oci:"+t.TempDir()+":v1")
		cmd.Env, cmd.Dir, cmd.Stderr = append(os.Environ(), "TERM="+term), repository, slave
		require.NoError(t, cmd.Start())
		require.NoError(t, slave.Close())
		text, _ := io.ReadAll(master) //nolint:errcheck // Linux ends it with EIO when the other side is closed.
		require.NoError(t, cmd.Wait())
		if !drawn {
			assert.NotContains(t, string(text), "[=")
			assert.NotContains(t, string(text), "\x1b")
			continue
		}
		assert.Regexp(t, `compressing shim +\[=+\] +[\d.]+ KB / +[\d.]+ KB`, string(text))
		assert.Regexp(t, `copying shim +\[=+\] +[\d.]+ KB / +[\d.]+ KB`, string(text))
	}
}
