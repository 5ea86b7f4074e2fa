// SPDX-License-Identifier: Apache-2.0

// Command containerd-shim-kata-v2 is the shim of the test payload: the command line and the sandbox
// life of Kata's shim, with runc in place of a VM. Two link-time variables make variants of it:
// main.version, and main.fail for a payload whose shim does not start.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/kata-node/kata-node/test/shim/daemon"
	"github.com/kata-node/kata-node/test/shim/launch"
)

const (
	name      = "containerd-shim-kata-v2"
	socketDir = "/run/containerd/s"
)

// version and fail are set with -ldflags "-X main.version=... -X 'main.fail=a sentence'".
var version, fail = "test", ""

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	showVersion := flags.Bool("version", false, "print the version and exit")
	namespace := flags.String("namespace", "", "containerd namespace")
	id := flags.String("id", "", "container id")
	for _, accepted := range []string{"address", "publish-binary", "bundle"} {
		flags.String(accepted, "", "accepted and not used")
	}
	flags.Bool("debug", false, "accepted and not used")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *showVersion:
		_, err := fmt.Fprintf(stdout, "Kata Containers containerd shim (test): id: %q, version: %s\n", "io.containerd.kata.v2", version)
		return err
	case *namespace == "":
		return errors.New(name + ": shim namespace cannot be empty")
	case *id == "":
		return errors.New(name + ": shim id cannot be empty")
	}
	return act(flags.Arg(0), *namespace, *id, stdout)
}

func act(action, namespace, id string, stdout io.Writer) error {
	switch action {
	case "start":
		return start(namespace, id, stdout)
	case "delete":
		return nil
	case "":
		return serve()
	}
	return fmt.Errorf("%s: unknown action %q; known are start and delete", name, action)
}

func start(namespace, id string, stdout io.Writer) error {
	if fail != "" {
		return errors.New(fail)
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	bundle, err := os.Getwd()
	if err != nil {
		return err
	}
	address, err := launch.Launcher{Executable: executable, SocketDir: socketDir, Namespace: namespace, Bundle: bundle}.Start(id)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(stdout, address)
	return err
}

func serve() error {
	signal.Ignore(syscall.SIGPIPE)
	if os.Geteuid() == 0 {
		if err := daemon.FollowMounts(); err != nil {
			return err
		}
	}
	bundle, err := os.Getwd()
	if err != nil {
		return err
	}
	return daemon.Run(context.Background(), os.NewFile(launch.ListenerFD, "socket"), bundle)
}
