// SPDX-License-Identifier: Apache-2.0

package qemu_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/host/qemu"
)

// program puts a script below a root.
func program(t *testing.T, root, name, script string) {
	t.Helper()
	hosttest.Program(t, filepath.Join(root, name), []byte("#!/bin/sh\n"+script))
}

func TestMachinesConform(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	program(t, root, "ready", "printf 'it is '; printf 'ready\\n'; exec sleep 1000")
	program(t, root, "ends", "echo console; echo words >&2; exit 3")
	hosttest.ConformVMs(t, qemu.Below(root), "/ready", "/ends", "it is ready")
}

func TestAMachineThatIsNeverReadyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	program(t, root, "hangs", "echo begins $$; exec sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	b, err := qemu.Below(root).Boot(ctx, host.Boot{Program: "/hangs", ReadyLine: "ready", Args: []string{"-m", "1"}})
	require.NoError(t, err)
	assert.False(t, b.Ready)
	assert.Empty(t, b.Exited)
	require.True(t, strings.HasPrefix(b.Console, "begins "), b.Console)
	_, err = os.Stat("/proc/" + strings.TrimSpace(strings.TrimPrefix(b.Console, "begins ")))
	require.ErrorIs(t, err, os.ErrNotExist, "nothing of it runs on")
}

func TestAMachineThatCannotBecomeReadyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	program(t, root, "panics", "printf 'panic: '; printf 'no init\\n'; exec sleep 1000")
	b, err := qemu.Below(root).Boot(t.Context(), host.Boot{Program: "/panics", ReadyLine: "ready", EndLine: "panic: "})
	require.NoError(t, err)
	assert.False(t, b.Ready)
	assert.Empty(t, b.Exited)
	assert.Equal(t, "panic: no init\n", b.Console, "the line has ended")
}

func TestOnlyTheEndOfAnEndlessConsoleIsKept(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	program(t, root, "talks", "head -c 3000000 /dev/zero; echo the end; exit 1")
	b, err := qemu.Below(root).Boot(t.Context(), host.Boot{Program: "/talks"})
	require.NoError(t, err)
	assert.Len(t, b.Console, 1<<20)
	assert.True(t, strings.HasSuffix(b.Console, "the end\n"))
}

// The machine is this one, where the kernel can connect to itself (module vsock_loopback).
func TestAMachineIsReadyOnceItAnswersOverVsock(t *testing.T) {
	t.Parallel()
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip("no vsock here:", err)
	}
	defer unix.Close(fd) //nolint:errcheck // It ends with the test.
	const port = 10241
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: port}), unix.Listen(fd, 1)); err != nil {
		t.Skip("no vsock here:", err)
	}
	probe, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	err = errors.Join(unix.Connect(probe, &unix.SockaddrVM{CID: unix.VMADDR_CID_LOCAL, Port: port}), unix.Close(probe))
	if err != nil {
		t.Skip("the kernel does not connect to itself:", err)
	}
	root := t.TempDir()
	program(t, root, "runs", "exec sleep 1000")
	b, err := qemu.Below(root).Boot(t.Context(), host.Boot{Program: "/runs", CID: unix.VMADDR_CID_LOCAL, Port: port})
	require.NoError(t, err)
	assert.True(t, b.Ready)
}
