// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// startScheduler runs the real kube-scheduler inside this process.
func startScheduler(ctx context.Context, kubeconfig string, fail context.CancelCauseFunc) error {
	scheduler := options.NewOptions()
	err := parse("kube-scheduler", *scheduler.Flags, []string{
		"--kubeconfig=" + kubeconfig,
		"--leader-elect=false",
		"--secure-port=0",
	})
	if err != nil {
		return fmt.Errorf("configuring kube-scheduler: %w", err)
	}
	completed, made, err := app.Setup(ctx, scheduler)
	if err != nil {
		return fmt.Errorf("configuring kube-scheduler: %w", err)
	}
	go func() { fail(fmt.Errorf("running kube-scheduler: %w", app.Run(ctx, completed, made))) }()
	return nil
}

// parse sets a server's options from a command line.
func parse(server string, named cliflag.NamedFlagSets, line []string) error {
	all := pflag.NewFlagSet(server, pflag.ContinueOnError)
	for _, name := range slices.Sorted(maps.Keys(named.FlagSets)) {
		all.AddFlagSet(named.FlagSets[name])
	}
	return all.Parse(line)
}
