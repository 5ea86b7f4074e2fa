// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/probe"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// half adds to the error of a proof whether the guest alone starts, where this host made it: the
// runtime says the same of a guest that never answers, whatever the cause.
func (r Runner) half(ctx context.Context, s plan.Step, err error) error {
	made, unknown := record.LoadGuest(r.Host.Files, s.Slot)
	if unknown != nil || made == nil || ctx.Err() != nil {
		return err
	}
	r.Tell("starting the guest alone, to find out which half of the proof failed")
	alone := r.alone(ctx, s)
	if alone == nil {
		return fmt.Errorf("%w; the guest alone starts and its agent answers, so look at shim, virtiofsd and CRI-O", err)
	}
	return fmt.Errorf("%w; the guest alone does not start either: %w", err, alone)
}

// alone starts the guest of a handler without a sandbox.
func (r Runner) alone(ctx context.Context, s plan.Step) error {
	configuration, err := r.Host.Files.Read(path.Join(host.SlotDir(s.Slot), node.ProofOf(proven(s)), host.Configuration))
	if err != nil {
		return err
	}
	m, err := probe.From(configuration, r.Self.Architecture)
	if err != nil {
		return err
	}
	// The default is several times what a guest takes to start under KVM.
	limit := r.Self.ProofTimeout / 2
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	booted, err := r.Host.VMs.Boot(ctx, m.Boot(probe.How{CID: probe.CID(rand.Uint32())})) //nolint:gosec // It only has to be free.
	if err != nil {
		return err
	}
	failed := probe.Explain(booted, limit)
	if failed == nil {
		return nil
	}
	// The error has the last lines only.
	return errors.Join(failed, r.Host.Files.Write(host.Console(s.Slot), []byte(booted.Words+"\n"+booted.Console), privateFile))
}

// privateFile is the mode of what only an administrator reads.
const privateFile = 0o600
