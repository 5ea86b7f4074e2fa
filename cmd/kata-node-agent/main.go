// SPDX-License-Identifier: Apache-2.0

// Command kata-node-agent runs Kata on a node: see kata-node-agent.service.
// Called by the name of a Kata shim it is the shim of a node that serves no payload, and says why.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.podman.io/storage/pkg/reexec"

	"github.com/kata-node/kata-node/api/node"
	_ "github.com/kata-node/kata-node/cmd/kata-node-agent/internal/pending" // ends the program that is called as a shim
)

// version is set by the linker.
var version = "unreleased"

func main() {
	// Image layers are unpacked by this program called again inside a chroot.
	if reexec.Init() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kata-node-agent:", node.Sentence(err.Error()))
		stop()
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := "/"
	c := &cobra.Command{
		Use:           "kata-node-agent",
		Short:         "Mounts Kata payloads on this node and keeps CRI-O's handlers for them",
		Version:       version,
		SilenceErrors: true, SilenceUsage: true,
	}
	c.PersistentFlags().StringVar(&root, "root", root, "directory that stands for the host's root")
	c.AddCommand(runCommand(&root), statusCommand(&root), checkCommand(&root), probeCommand(&root), collectCommand(&root), removeCommand(&root))
	return c
}
