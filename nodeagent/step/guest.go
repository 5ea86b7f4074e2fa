// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

// guest carries out the steps about guests.
func (r Runner) guest(ctx context.Context, s plan.Step, f plan.Facts) error {
	if s.Kind == plan.DeleteGuest {
		return r.Host.Files.Remove(host.GuestDir(s.Object))
	}
	m, _, err := inspect.Read(ctx, r.Host.Files.Path(host.PayloadDir(s.Slot)))
	switch {
	case err != nil:
		return err
	case m.Guest == nil:
		return fmt.Errorf("payload %q describes no guest any more", s.Payload)
	case s.Kind == plan.BuildAhead:
		return r.buildAhead(ctx, m, s, f)
	case r.Self.PayloadKernel:
		return r.payloadGuest(m, s)
	}
	return r.buildGuest(ctx, m, s)
}

// buildGuest makes what a slot's guests start from, and notes where it is.
func (r Runner) buildGuest(ctx context.Context, m manifest.Manifest, s plan.Step) error {
	image, err := r.Host.Guests.Image(r.Self.Kernel)
	if err != nil {
		return err
	}
	r.Tell("building the guest for kernel " + r.Self.Kernel)
	if err := r.makeGuest(ctx, m, s.Slot, s.Slot, r.Self.Kernel); err != nil {
		return err
	}
	return record.Guest{Kernel: image, Initrd: host.GuestInitrd(s.Slot)}.Save(r.Host.Files, s.Slot)
}

// payloadGuest uses a kernel of the payload, for which its base initrd is right as it is.
func (r Runner) payloadGuest(m manifest.Manifest, s plan.Step) error {
	if m.Guest.Kernel == "" {
		return fmt.Errorf("payload %q has no kernel for its guests: take guest_kernel = \"payload\" out of the settings in /etc/kata-agent, or use a payload with one", s.Payload)
	}
	dir := host.PayloadDir(s.Slot)
	return record.Guest{Kernel: path.Join(dir, m.Guest.Kernel), Initrd: path.Join(dir, m.Guest.Initrd)}.Save(r.Host.Files, s.Slot)
}

// buildAhead makes the initrd of the slot that a payload will have on another kernel.
func (r Runner) buildAhead(ctx context.Context, m manifest.Manifest, s plan.Step, f plan.Facts) error {
	origin, err := record.LoadOrigin(r.Host.Files, s.Slot)
	if err != nil {
		return err
	}
	return r.makeGuest(ctx, m, s.Slot, plan.SlotID(origin.Platform, s.Object, f.Host.Settings), s.Object)
}

// makeGuest makes an initrd from the payload mounted in one slot, for this or another slot. Nothing
// is left of one that cannot be made, such as on a full disk.
func (r Runner) makeGuest(ctx context.Context, m manifest.Manifest, mounted, slot, kernel string) error {
	base, err := m.Resolve(m.Guest.Initrd)
	if err != nil {
		return err
	}
	err = r.Host.Guests.Build(ctx, host.GuestOrder{
		Slot: slot, Kernel: kernel, Base: path.Join(host.PayloadDir(mounted), base.Path), BaseSHA256: base.SHA256,
		Modules: m.Guest.Modules, OptionalModules: m.Guest.OptionalModules,
	})
	if err != nil {
		return errors.Join(err, r.Host.Files.Remove(host.GuestDir(slot)))
	}
	return nil
}
