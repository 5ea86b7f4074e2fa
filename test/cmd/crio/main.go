// SPDX-License-Identifier: Apache-2.0

// Command crio stands in for CRI-O 1.37 in tests: it reads the same configuration, has the same
// traps and runs the same shims. It runs no containers and pulls no images.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/BurntSushi/toml"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/test/standin/crio/daemon"
	"github.com/kata-node/kata-node/test/standin/crio/server"
)

func main() {
	log := logrus.New()
	log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, DisableColors: true})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := command(log).ExecuteContext(ctx); err != nil {
		log.Errorf("%v", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func command(log *logrus.Logger) *cobra.Command {
	var options daemon.Options
	root := &cobra.Command{
		Use: "crio", Short: "CRI-O stand-in", Version: server.Version, Args: cobra.NoArgs,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) { options.Source.Required = cmd.Flags().Changed("config") },
		RunE: func(cmd *cobra.Command, _ []string) error {
			options.Log, options.Reload = log, hangups()
			return daemon.Run(cmd.Context(), options)
		},
	}
	root.SetVersionTemplate("crio version {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVarP(&options.Source.File, "config", "c", "/etc/crio/crio.conf", "main configuration file")
	flags.StringVarP(&options.Source.Dir, "config-dir", "d", "/etc/crio/crio.conf.d", "drop-in directory")
	flags.StringVar(&options.Kubeconfig, "cni-kubeconfig", "/var/lib/kubelet/kubeconfig", "credential with which the pod network finds pods")
	flags.StringVar((*string)(&options.Faults), "fault-dir", "/run/crio-standin", "where tests put FIFOs to hold this process")
	flags.StringVar(&options.CgroupParent, "shim-cgroup-parent", cgroupParent(), "cgroup below which shims live; empty leaves them in this process's")
	root.AddCommand(showConfig(&options))
	return root
}

// showConfig only decodes, as CRI-O's does: paths and handlers are not looked at.
func showConfig(options *daemon.Options) *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "decode the configuration and print it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := options.Source.Read()
			if err != nil {
				return fmt.Errorf("get and merge config from context: %w", err)
			}
			return toml.NewEncoder(cmd.OutOrStdout()).Encode(c)
		},
	}
}

// cgroupParent takes shims out of the service that systemd would otherwise end together with this
// process.
func cgroupParent() string {
	if os.Getenv("INVOCATION_ID") == "" {
		return ""
	}
	return "/kubepods"
}

func hangups() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals
}
