// SPDX-License-Identifier: Apache-2.0

// Command kata-payload builds payload images, and looks into them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.podman.io/storage/pkg/reexec"
)

// version is set by the linker.
var version = "unreleased"

func main() {
	// The library of containers-storage calls this program again to unpack layers.
	if reexec.Init() {
		return
	}
	os.Exit(run())
}

func run() int {
	// Tables of contents of layers have times in the local zone: see assemble.Input.
	time.Local = time.UTC //nolint:gosmopolitan // the same digest in every time zone
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(version)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(root.ErrOrStderr(), "kata-payload: %v\n", err)
		return 1
	}
	return 0
}
