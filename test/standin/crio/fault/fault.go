// SPDX-License-Identifier: Apache-2.0

// Package fault lets tests hold CRI-O still at a named moment, without a clock. A moment is held
// while a FIFO of its name exists and no process has opened it for writing and closed it again.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// StallStart is the moment before a starting CRI-O answers and says READY=1.
	StallStart = "stall-start"
	// StallRun is the moment in RunPodSandbox before the handler's binary is run.
	StallRun = "stall-run"
	// StallStop is the moment in StopPodSandbox before the sandbox is asked to end.
	StallStop = "stall-stop"
)

// Dir is the directory in which tests put the FIFOs. It need not exist.
type Dir string

// Hold returns at once when no FIFO of that name exists. Otherwise a test's open for writing
// returns when the moment is reached, and its close lets CRI-O go on.
func (d Dir) Hold(ctx context.Context, name string) error {
	path := filepath.Join(string(d), name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for fault %s: %w", name, err)
	}
	if info.Mode().Type() != fs.ModeNamedPipe {
		return fmt.Errorf("holding at %s: %s is not a FIFO; make it with mkfifo", name, path)
	}
	released := make(chan error, 1)
	go func() { released <- drain(path) }()
	select {
	case err := <-released:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func drain(path string) error {
	fifo, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("holding: %w", err)
	}
	defer fifo.Close() //nolint:errcheck // opened for reading only
	_, err = io.Copy(io.Discard, fifo)
	return err
}
