// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/process"
)

const (
	limit = time.Minute
	tick  = 20 * time.Millisecond
)

func TestEndOfAProgramIsNoticedWithItsLog(t *testing.T) {
	t.Parallel()
	p := run(t, "echo no port left >&2; exit 3")
	<-p.Ended()
	require.ErrorContains(t, p.Err(), "exit status 3")
	require.ErrorContains(t, p.Err(), "no port left")
	assert.NoError(t, p.Stop(t.Context()), "stopping what has ended")
}

func TestStopAsksAndKillDoesNot(t *testing.T) {
	t.Parallel()
	const polite = "trap 'echo good-bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
	stopped, killed := run(t, polite), run(t, polite)
	for _, p := range []*process.Process{stopped, killed} {
		require.Eventually(t, func() bool { return p.Log() == "ready" }, limit, tick)
	}
	require.NoError(t, stopped.Stop(t.Context()))
	require.NoError(t, killed.Kill(t.Context()))
	assert.Contains(t, stopped.Log(), "good-bye")
	assert.NotContains(t, killed.Log(), "good-bye")
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	p := run(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	require.Eventually(t, func() bool { return p.Log() == "ready" }, limit, tick)
	ctx, cancel := context.WithTimeout(t.Context(), 10*tick)
	defer cancel()
	require.ErrorIs(t, p.Stop(ctx), context.DeadlineExceeded)
	<-p.Ended()
}

func TestMissingProgramIsNamed(t *testing.T) {
	t.Parallel()
	_, err := process.Start(exec.CommandContext(t.Context(), "/nowhere/kata-controller"), filepath.Join(t.TempDir(), "log"))
	require.ErrorContains(t, err, "kata-controller")
}

func run(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", script), filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Kill(context.WithoutCancel(t.Context()))) })
	return p
}
