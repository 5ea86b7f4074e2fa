// SPDX-License-Identifier: Apache-2.0

// Command kata-controller turns KataConfigs into intents for nodes, and their reports into status.
// This package parses flags and wires; it decides nothing.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
)

// version is set by the linker.
var version = "unreleased"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	log := logrus.New()
	if err := command(log).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kata-controller:", err)
		os.Exit(1) //nolint:gocritic // the signal handler has nothing to undo
	}
}
