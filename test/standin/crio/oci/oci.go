// SPDX-License-Identifier: Apache-2.0

// Package oci drives an OCI runtime for a sandbox's infra container, as far as its traps matter:
// there is no monitor and no root file system. The binary is run anew for every operation, so a
// payload that went away is noticed only when a sandbox is to end.
package oci

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/kata-node/kata-node/test/standin/crio/config"
)

const (
	pidFile = "pidfile"
	retry   = 50 * time.Millisecond
)

// Container is one infra container.
type Container struct {
	Handler    *config.Handler
	ID, Bundle string
}

// Run creates and starts the container.
func (c Container) Run(ctx context.Context) error {
	if err := c.call(ctx, "create", "--bundle", c.Bundle, "--pid-file", filepath.Join(c.Bundle, pidFile), c.ID); err != nil {
		return err
	}
	return c.call(ctx, "start", c.ID)
}

// Stop asks the runtime to end the container until its process is gone or ctx ends; a runtime that
// cannot be run is asked again.
func (c Container) Stop(ctx context.Context) error {
	ticker := time.NewTicker(retry)
	defer ticker.Stop()
	for c.alive() {
		_ = c.call(ctx, "kill", c.ID, "TERM") //nolint:errcheck // whether it helped is seen in the next round
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// Delete makes the runtime forget the container.
func (c Container) Delete(ctx context.Context) error {
	return c.call(ctx, "delete", "--force", c.ID)
}

func (c Container) alive() bool {
	data, err := os.ReadFile(filepath.Join(c.Bundle, pidFile))
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(string(data))
	return err == nil && syscall.Kill(pid, 0) == nil
}

func (c Container) call(ctx context.Context, args ...string) error {
	args = append([]string{"--root", c.Handler.RuntimeRoot}, args...)
	output, err := exec.CommandContext(ctx, c.Handler.RuntimePath, args...).CombinedOutput() //nolint:gosec // the configured runtime
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", c.Handler.RuntimePath, args[2], err, output)
	}
	return nil
}
