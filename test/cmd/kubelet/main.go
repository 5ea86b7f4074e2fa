// SPDX-License-Identifier: Apache-2.0

// Command kubelet is the kubelet stand-in of the test bed, installed as /usr/bin/kubelet in test
// nodes. It parses flags, connects to the runtime and the API server, and runs until SIGTERM;
// sandboxes outlive it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/test/standin/kubelet"
	"github.com/kata-node/kata-node/test/standin/kubelet/cri"
	"github.com/kata-node/kata-node/test/standin/kubelet/machine"
)

type flags struct{ kubeconfig, node, socket, rejections string }

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // nothing is left to cancel
	}
}

func command() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:           "kubelet",
		Short:         "Stand in for the kubelet on a node of the test bed",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return run(c.Context(), f) },
	}
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "/var/lib/kubelet/kubeconfig", "file with the node's own credential")
	c.Flags().StringVar(&f.node, "node-name", "", "name of the Node (default: the host name)")
	c.Flags().StringVar(&f.socket, "cri", "/run/crio/crio.sock", "socket of the container runtime")
	c.Flags().StringVar(&f.rejections, "rejections", "/var/lib/kubelet/rejections.jsonl", "file that gets a line for each pod rejected at admission; empty for none")
	return c
}

func run(ctx context.Context, f flags) error {
	log := logrus.New()
	name, err := nodeName(f.node)
	if err != nil {
		return err
	}
	host, err := machine.Read("/", name)
	if err != nil {
		return err
	}
	clients, err := connect(f.kubeconfig)
	if err != nil {
		return err
	}
	runtime, err := cri.Dial(f.socket)
	if err != nil {
		return err
	}
	defer runtime.Close() //nolint:errcheck // the process ends
	if err := answering(ctx, runtime); err != nil {
		return err
	}
	recorder, stop := events(ctx, clients.pods, name)
	defer stop()
	node := kubelet.New(kubelet.Options{
		Machine: host, Client: clients.pods, Heartbeat: clients.node, Runtime: runtime,
		Events: recorder, Log: log.WithField("node", name), Periods: kubelet.DefaultPeriods(), Rejections: f.rejections,
	})
	// Like the kubelet, ready means started: the API server may be away.
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("telling systemd that the kubelet has started: %w", err)
	}
	return node.Run(ctx)
}

func nodeName(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("reading the host name: %w", err)
	}
	return strings.ToLower(host), nil
}
