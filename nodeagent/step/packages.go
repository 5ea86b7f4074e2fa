// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func (r Runner) packages(ctx context.Context, s plan.Step, f plan.Facts) error {
	if s.Kind == plan.LayerPackages {
		return r.layer(ctx, s, f)
	}
	return r.unlayer(ctx, f)
}

// layer installs the packages straight from the mounted payload. What is to be installed is written
// down before, so that it is known as ours whatever happens.
func (r Runner) layer(ctx context.Context, s plan.Step, f plan.Facts) error {
	at := slices.IndexFunc(f.Slots.All, func(slot plan.Slot) bool { return slot.ID == s.Slot })
	if at < 0 || f.Slots.All[at].Verified == nil {
		return fmt.Errorf("layering packages: slot %s is not verified any more", s.Slot)
	}
	verified := f.Slots.All[at].Verified
	wanted := packages.Chosen(verified.Packages, verified.Sets, f.Packages.Release)
	change := packages.Change(wanted, f.Packages)
	if len(change.Install)+len(change.Uninstall) > 0 {
		for i, file := range change.Install {
			change.Install[i] = r.Host.Files.Path(path.Join(host.PayloadDir(s.Slot), file))
		}
		r.Tell(fmt.Sprintf("layering %d packages of the payload", len(change.Install)))
		if err := r.stage(ctx, change, packages.Recorded(wanted, f.Host.BootID, f.Packages)); err != nil {
			return fmt.Errorf("layering the packages of payload %q: %w", s.Payload, err)
		}
	}
	return r.applyLive(ctx)
}

// stage counts the attempt after rpm-ostree has made it: what it refuses takes no deployment away.
func (r Runner) stage(ctx context.Context, change host.Layering, recorded record.Layered) error {
	if err := recorded.Save(r.Host.Files); err != nil {
		return err
	}
	if err := r.Host.Ostree.Layer(ctx, change); err != nil {
		return err
	}
	recorded.Attempts++
	return recorded.Save(r.Host.Files)
}

// applyLive makes the packages visible at once where rpm-ostree can. Where it cannot, a reboot
// does, and that is written down for the deployment.
func (r Runner) applyLive(ctx context.Context) error {
	refusal := r.Host.Ostree.ApplyLive(ctx)
	if refusal == nil {
		return nil
	}
	if said, ok := errors.AsType[*host.OstreeError](refusal); !ok || said.Class != host.OstreeLiveRefused {
		return fmt.Errorf("applying layered packages to the running system: %w", refusal)
	}
	system, err := r.Host.Ostree.Status(ctx)
	if err != nil {
		return err
	}
	layered, err := record.LoadLayered(r.Host.Files)
	if err != nil || layered == nil {
		return errors.Join(refusal, err)
	}
	next, _ := system.Next()
	layered.Refused = next.Checksum
	return layered.Save(r.Host.Files)
}

// unlayer uninstalls what the record names and the next deployment has. Where no deployment in use
// has any of it, the record goes.
func (r Runner) unlayer(ctx context.Context, f plan.Facts) error {
	if f.Packages.Forgettable() {
		return record.RemoveLayered(r.Host.Files)
	}
	if err := r.Host.Ostree.Layer(ctx, packages.Change(nil, f.Packages)); err != nil {
		return fmt.Errorf("uninstalling layered packages: %w", err)
	}
	return nil
}
