// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

func TestTheConfigurationIsDecodedByTheProgramThatTheUnitStarts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		argv []string
		want []string
	}{
		"plain":           {[]string{"/usr/bin/crio", "$CRIO_CONFIG_OPTIONS"}, []string{"/usr/bin/crio", "config"}},
		"other places":    {[]string{"/usr/bin/crio", "--config", "/a", "-d=/b", "--log-level", "debug"}, []string{"/usr/bin/crio", "--config", "/a", "-d=/b", "config"}},
		"an option's end": {[]string{"/usr/bin/crio", "--config"}, []string{"/usr/bin/crio", "config"}},
	} {
		assert.Equal(t, c.want, systemd.ConfigCommand(systemd.Program([][]any{{c.argv[0], c.argv, false}})), name)
	}
	assert.Nil(t, systemd.ConfigCommand(systemd.Program([][]any{{"/usr/bin/containerd", []string{"/usr/bin/containerd"}}})))
	assert.Nil(t, systemd.ConfigCommand(systemd.Program([][]any{})))
	assert.Nil(t, systemd.ConfigCommand(systemd.Program("x")))
}

func TestWhatTheProgramSaysOfItsConfiguration(t *testing.T) {
	t.Parallel()
	scripted := func(script string) []string {
		file := filepath.Join(t.TempDir(), "crio")
		hosttest.Program(t, file, []byte("#!/bin/sh\n"+script))
		return []string{file, "config"}
	}
	require.NoError(t, systemd.Decode(t.Context(), scripted("exit 0"), nil))
	require.NoError(t, systemd.Decode(t.Context(), []string{"/nowhere/crio", "config"}, nil), "a program that is not there is not judged")
	err := systemd.Decode(t.Context(), scripted("echo first >&2; echo 'toml: line 3: .half' >&2; exit 1"), nil)
	require.ErrorContains(t, err, "exit status 1: toml: line 3: .half")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, systemd.Decode(ctx, scripted("sleep 60"), nil), context.Canceled)
}

func TestAProgramThatWasKilledIsNotJudged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "crio")
	hosttest.Program(t, file, []byte("#!/bin/sh\nkill -SYS $$"))
	require.NoError(t, systemd.Decode(t.Context(), []string{file, "config"}, nil))
	hosttest.Program(t, file, []byte("#!/bin/sh\n[ \"$CONTAINER_CONF\" = x ]"))
	require.NoError(t, systemd.Decode(t.Context(), []string{file, "config"}, []string{"CONTAINER_CONF=x"}))
}

func TestTheOptionsAreThoseOfTheProcessThatRuns(t *testing.T) {
	t.Parallel()
	c := exec.CommandContext(t.Context(), "cat", "-")
	c.Args[0] = "crio"
	c.Env = []string{"HOME=/", "CONTAINER_ROOT=/a"}
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() }) //nolint:errcheck // It has ended.
	answered(t, in, out)
	argv, environment := systemd.Running(c.Process.Pid, []string{"crio", "$OPTIONS"})
	assert.Equal(t, []string{"crio", "-"}, argv)
	assert.Equal(t, []string{"CONTAINER_ROOT=/a"}, environment)
	argv, _ = systemd.Running(0, []string{"crio", "$OPTIONS"})
	assert.Equal(t, []string{"crio", "$OPTIONS"}, argv)
}

// answered returns once the process runs its program: until then the kernel shows no arguments of
// it.
func answered(t *testing.T, in io.Writer, out io.Reader) {
	t.Helper()
	_, err := in.Write([]byte{1})
	require.NoError(t, err)
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
}
