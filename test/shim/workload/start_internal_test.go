// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// starting is a shell that runs another script, in a program of its own, once its input has a line.
// It writes a line first, and has ended when the test has.
func starting(t *testing.T, script string) (p first, start func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", `echo ready; read -r line; exec sh -c "$0"`, script)
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, input.Close())
		_ = cmd.Wait() //nolint:errcheck // How it ends is the script's affair.
	})
	_, err = bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	p, err = findFirst(cmd.Process.Pid)
	require.NoError(t, err)
	return p, func() {
		_, err := io.WriteString(input, "\n")
		require.NoError(t, err)
	}
}

func TestAProcessHasStartedWhenItRunsItsOwnProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script       string
		holdsSandbox bool
	}{
		"program":      {"read -r line", false},
		"handler":      {"trap : TERM; read -r line", true},
		"ignored":      {"trap '' TERM; read -r line", true},
		"ended":        {"exit 1", false},
		"ended before": {"exit 1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, start := starting(t, c.script)
			assert.False(t, p.started(c.holdsSandbox))
			start()
			p.await(context.WithoutCancel(t.Context()), c.holdsSandbox)
			assert.True(t, p.started(c.holdsSandbox))
		})
	}
}

func TestAWaitForAProcessThatNeverStartsEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	p, _ := starting(t, "exit 0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.await(ctx, true)
	assert.False(t, p.started(true))
}

func TestTheSandboxesProcessTakesTermByAHandlerOrNotAtAll(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{
		"SigBlk:\t0000000000004000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n": false,
		"SigIgn:\t0000000000004000\nSigCgt:\t0000000000000000\n":                            true,
		"SigIgn:\t0000000000000000\nSigCgt:\t0000000000014002\n":                            true,
		"SigIgn:\tunknown\n": true,
	} {
		assert.Equal(t, want, takesTerm(status), status)
	}
}
