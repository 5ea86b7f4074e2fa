// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"slices"
	"time"

	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/operator"
	"github.com/kata-node/kata-node/nodeagent/packages"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/nodeagent/vmm"
)

// ostreed carries out all transactions of rpm-ostree, and prints how they end. An update that
// failed longer ago than updateSpan is not tried any more: Zincati tries again within minutes.
const (
	ostreed    = "rpm-ostreed.service"
	updateSpan = 24 * time.Hour
)

// packages asks rpm-ostree, whose daemon may have to be started for it, only where an answer
// counts: the agent has layered something, or a payload needs programs of its host. Where it does
// not answer the facts say so: a payload that serves needs no answer.
func (o Observer) packages(ctx context.Context, shown cluster.State, slots plan.Slots) (packages.Facts, error) {
	f := packages.Facts{Operated: shown.Operated || o.there(host.OperatorConfig), Complaint: shown.Complaint, Allowed: o.Self.AllowLayering, Release: o.release()}
	f.QEMU, _ = vmm.QEMU(o.Self.Architecture).Find(o.Host.Files) //nolint:errcheck // the only error is that it is not there
	f.Virtiofsd, _ = vmm.Virtiofsd().Find(o.Host.Files)          //nolint:errcheck // as above
	var err error
	if f.Layered, err = record.LoadLayered(o.Host.Files); err != nil {
		return f, err
	}
	if f.Layered == nil && !slices.ContainsFunc(slots.All, needy) {
		return f, nil
	}
	f.Pool = o.pool(f)
	if f.Layered != nil && f.Layered.Boot != o.Self.BootID {
		if f.Lost, err = o.Host.Ostree.Unfinalized(ctx); err != nil {
			return f, err
		}
	}
	if f.Layered != nil && !f.Operated {
		f.Transactions, _ = o.Host.Services.Messages(ctx, ostreed, updateSpan, packages.TransactionWords()...) //nolint:errcheck // for a warning only: not known, then
	}
	if f.System, err = o.Host.Ostree.Status(ctx); err != nil {
		f.Problem = err.Error()
	}
	return f, ctx.Err()
}

// pool reads the node's pool where the MachineConfig for it may have to be named: the document that
// says it may have a megabyte and a half.
func (o Observer) pool(f packages.Facts) string {
	if !f.Operated || f.QEMU != "" && f.Virtiofsd != "" {
		return ""
	}
	c, _ := operator.Load(o.Host.Files) //nolint:errcheck // not known, then
	return c.Pool()
}

func needy(s plan.Slot) bool { return s.Verified != nil && s.Verified.Needs != (record.Needs{}) }
