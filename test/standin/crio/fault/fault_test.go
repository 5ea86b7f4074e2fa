// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/standin/crio/fault"
)

func TestNothingIsHeldWithoutAFIFO(t *testing.T) {
	t.Parallel()
	require.NoError(t, fault.Dir(t.TempDir()).Hold(t.Context(), fault.StallStart))
	require.NoError(t, fault.Dir("/nowhere").Hold(t.Context(), fault.StallStart))
}

func TestAMomentIsHeldUntilTheFIFOsWriterIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, fault.StallRun)
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	held := make(chan error, 1)
	go func() { held <- fault.Dir(dir).Hold(t.Context(), fault.StallRun) }()

	writer, err := os.OpenFile(path, os.O_WRONLY, 0) // returns when the moment is reached
	require.NoError(t, err)
	assert.Empty(t, held)
	require.NoError(t, writer.Close())
	require.NoError(t, <-held)
}

func TestAProcessThatEndsIsNotHeld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, fault.StallStop), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, fault.Dir(dir).Hold(ctx, fault.StallStop), context.Canceled)
}

func TestAnythingButAFIFOIsAMistake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, fault.StallStart), nil, 0o600))
	assert.ErrorContains(t, fault.Dir(dir).Hold(t.Context(), fault.StallStart), "is not a FIFO")
}
