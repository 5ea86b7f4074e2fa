// SPDX-License-Identifier: Apache-2.0

// Command e2e runs tests of Kubernetes and of the CRI with Kata as the pods' runtime.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/e2e"
)

func main() {
	options := e2e.Options{Out: os.Stdout}
	flag.StringVar(&options.Reports, "reports", "dist/e2e", "directory of the JUnit reports")
	flag.BoolVar(&options.Ordinary, "ordinary", false, "use the node's default runtime in place of Kata")
	flag.StringVar(&options.Focus, "focus", "", "run only tests of others whose names match this regular expression")
	flag.StringVar(&options.Only, "only", "", "run one part only: kubernetes, critest, power-cuts, older-kernel or selinux")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, options); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, options e2e.Options) error {
	if missing := bed.Missing(); len(missing) > 0 {
		return fmt.Errorf("running nodes here: %s; 'make e2e' as root installs what is missing on Debian", strings.Join(missing, "; "))
	}
	return e2e.Run(ctx, options)
}
