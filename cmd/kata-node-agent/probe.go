// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/probe"
)

// probing is what the flags of probe say.
type probing struct {
	slot    string
	how     probe.How
	timeout time.Duration
	console bool
}

func probeCommand(root *string) *cobra.Command {
	p := probing{timeout: time.Minute}
	c := &cobra.Command{
		Use: "probe", Short: "Start the guest of a slot once, without a sandbox, and say which part of it fails", Args: cobra.NoArgs,
		Long: "Starts kernel and initrd of a slot with the QEMU that its configuration names, and waits until the\n" +
			"guest's agent answers over vsock. Nothing of the node's is touched.",
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := wire(*root)
			if err != nil {
				return err
			}
			p.how.CID = probe.CID(rand.Uint32()) //nolint:gosec // It only has to be free.
			m, took, err := p.run(c.Context(), w, c.OutOrStdout())
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "the guest is ready after %s: kernel %s, initrd %s\n", took.Round(time.Millisecond*100), m.Kernel, m.Initrd)
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&p.slot, "slot", "", "the slot; the default is the one of the link proof, else current")
	flags.BoolVar(&p.how.Emulate, "emulate", false, "start it without KVM, which takes minutes")
	flags.StringVar(&p.how.ReadyLine, "ready-line", "", "wait for a line with this text on the console, not for vsock")
	flags.BoolVar(&p.console, "console", false, "print all that the guest printed, whatever comes of it")
	flags.DurationVar(&p.timeout, "timeout", p.timeout, "how long the guest may take")
	return c
}

func (p probing) run(ctx context.Context, w *wiring, out io.Writer) (m probe.Machine, took time.Duration, err error) {
	slots, err := observe.Observer{Host: w.untouched(), Self: w.self}.Linked()
	if err != nil {
		return m, 0, err
	}
	slot := p.choose(slots)
	if slot == "" {
		return m, 0, errors.New("no slot is linked, so there is no guest to start: see kata-node-agent status")
	}
	configuration, err := w.host.Files.Read(path.Join(host.SlotDir(slot), node.Handler, host.Configuration))
	if err != nil {
		return m, 0, fmt.Errorf("reading the configuration of slot %s: %w", slot, err)
	}
	if m, err = probe.From(configuration, w.self.Architecture); err != nil {
		return m, 0, fmt.Errorf("slot %s: %w", slot, err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	began := time.Now()
	booted, err := w.host.VMs.Boot(ctx, m.Boot(p.how))
	if p.console && err == nil {
		fmt.Fprintln(out, strings.Join(probe.Lines(booted.Console), "\n"))
	}
	if err == nil {
		err = probe.Explain(booted, p.timeout)
	}
	if err != nil {
		err = fmt.Errorf("starting the guest of slot %s: %w", slot, err)
	}
	return m, time.Since(began), err
}

func (p probing) choose(s plan.Slots) string {
	for _, slot := range []string{p.slot, s.Proof, s.Current} {
		if slot != "" && slot != plan.Pending {
			return slot
		}
	}
	return ""
}
