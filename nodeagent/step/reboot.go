// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"fmt"

	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// reboot takes the node out of service, reboots it, and puts it back into service.
func (r Runner) reboot(ctx context.Context, s plan.Step) error {
	switch s.Kind { //nolint:exhaustive // Run divides the kinds.
	case plan.Cordon:
		return r.Node.Cordon(ctx, r.Self.BootID)
	case plan.Drain:
		return r.Node.Evict(ctx)
	case plan.Uncordon:
		return r.Node.Uncordon(ctx)
	case plan.ForgetReboot:
		return record.RemoveRebooted(r.Host.Files)
	default:
		return r.goDown(ctx, s.Object)
	}
}

// goDown ends no pod that was bound since the drain. It writes the record before the machine goes
// down: after the boot it shows whether that has helped.
func (r Runner) goDown(ctx context.Context, why string) error {
	if err := r.Node.Vacant(ctx); err != nil {
		return fmt.Errorf("rebooting this node for %s: %w", why, err)
	}
	if err := (record.Rebooted{Boot: r.Self.BootID, Reason: why}).Save(r.Host.Files); err != nil {
		return err
	}
	if err := r.Host.Power.Reboot(ctx); err != nil {
		return fmt.Errorf("rebooting this node for %s: %w", why, err)
	}
	return nil
}
