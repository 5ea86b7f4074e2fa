// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/dropin"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

const (
	// proofTimeout stays below the two minutes after which a kubelet gives up on a sandbox.
	proofTimeout = 100 * time.Second
	// restartTimeout is beyond CRI-O's own start timeout; a job that ends later is seen by the next look.
	restartTimeout = 3 * time.Minute
)

// writeDropIn stamps the drop-in with the CRI-O that is running. If another one started meanwhile, it may or may not have read the file, so the stamp names that one.
func (r Runner) writeDropIn(ctx context.Context) error {
	before, err := r.Host.Services.Unit(ctx, r.Self.CRIOUnit)
	for err == nil {
		if err = r.stamp(before.Invocation); err != nil {
			break
		}
		var after host.Unit
		if after, err = r.Host.Services.Unit(ctx, r.Self.CRIOUnit); after.Invocation == before.Invocation {
			break
		}
		before = after
	}
	if err != nil {
		return fmt.Errorf("writing drop-in %s: %w", host.DropIn, err)
	}
	return nil
}

func (r Runner) stamp(invocation string) error {
	content, err := dropin.Render(dropin.Stamp{Invocation: invocation, BootID: r.Self.BootID})
	if err != nil {
		return err
	}
	return r.Host.Files.Write(host.DropIn, content, publicFile)
}

// restartCRIO notes the use of the grant first: after a crash the note tells a restart that happened from one that did not.
func (r Runner) restartCRIO(ctx context.Context, f plan.Facts) error {
	if err := (record.Restarted{Intent: f.Intent.Wanted.ID, Invocation: f.Runtime.Invocation}).Save(r.Host.Files); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	return r.Host.Services.Restart(ctx, r.Self.CRIOUnit)
}

// prove starts a real sandbox of the candidate. CRI-O's list of handlers proves nothing.
func (r Runner) prove(ctx context.Context, s plan.Step, f plan.Facts) error {
	if err := r.visible(ctx, s.Slot); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	for _, sandbox := range f.Runtime.Sandboxes {
		if sandbox.Handler == node.ProofHandler {
			if err := r.Host.Sandboxes.Remove(ctx, sandbox.ID); err != nil {
				return fmt.Errorf("removing an earlier proof: %w", err)
			}
		}
	}
	id, err := r.Host.Sandboxes.Prove(ctx, node.ProofHandler, "proof-"+s.Slot)
	if unknown, ok := errors.AsType[*host.UnknownHandler](err); ok {
		return errors.Join(unknown, r.restamp(ctx))
	}
	if err != nil {
		return fmt.Errorf("proving payload %q: %w", s.Payload, err)
	}
	// The mark comes last: after a crash between the two, the next proof removes this one's sandbox.
	removed := r.Host.Sandboxes.Remove(ctx, id)
	return errors.Join(record.Mark(r.Host.Files, s.Slot, record.ProvedMark), removed)
}

// restamp records that the running CRI-O has not taken our handlers, whatever the old stamp said, so that the next plan restarts it.
func (r Runner) restamp(ctx context.Context) error {
	unit, err := r.Host.Services.Unit(ctx, r.Self.CRIOUnit)
	if err != nil {
		return err
	}
	return r.stamp(unit.Invocation)
}

// visible makes sure that CRI-O's mount namespace has the payload: it may live in one of its own.
func (r Runner) visible(ctx context.Context, slot string) error {
	unit, err := r.Host.Services.Unit(ctx, r.Self.CRIOUnit)
	if err != nil {
		return err
	}
	points, err := r.Host.Mounts.Below(host.PayloadDir(slot), unit.MainPID)
	if err != nil {
		return err
	}
	if !slices.Contains(points, host.PayloadDir(slot)) {
		return fmt.Errorf("%s is mounted but CRI-O (process %d) does not see it: its mount namespace gets no mounts from the host", host.PayloadDir(slot), unit.MainPID)
	}
	return nil
}
