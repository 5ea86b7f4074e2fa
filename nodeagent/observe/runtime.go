// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"errors"
	"io/fs"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/dropin"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

func (o Observer) runtime(ctx context.Context) (plan.Runtime, error) {
	unit, err := o.Host.Services.Unit(ctx, o.Self.CRIOUnit)
	if err != nil {
		return plan.Runtime{}, err
	}
	r := plan.Runtime{Active: unit.Active(), Invocation: unit.Invocation}
	if r.Restarted, err = record.LoadRestarted(o.Host.Files); err != nil {
		return r, err
	}
	if r.DropIn, err = o.dropIn(); err != nil {
		return r, err
	}
	if r.Active {
		r.Sandboxes, r.Answers = o.sandboxes(ctx)
	}
	return r, nil
}

func (o Observer) dropIn() (plan.DropIn, error) {
	content, err := o.Host.Files.Read(host.DropIn)
	if errors.Is(err, fs.ErrNotExist) {
		return plan.DropIn{}, nil
	}
	if err != nil {
		return plan.DropIn{}, err
	}
	stamp, right := dropin.Read(content)
	return plan.DropIn{Exists: true, Right: right, Invocation: stamp.Invocation, BootID: stamp.BootID}, nil
}

// sandboxes asks CRI-O. Where it does not answer the facts say so, and whoever needs the answer waits.
func (o Observer) sandboxes(ctx context.Context) (all []plan.Sandbox, answers bool) {
	sandboxes, err := o.Host.Sandboxes.List(ctx, node.Handler, node.ProofHandler)
	if err != nil {
		return nil, false
	}
	for _, s := range sandboxes {
		all = append(all, plan.Sandbox{ID: s.ID, Handler: s.Handler, Name: s.Namespace + "/" + s.Name, Ready: s.Ready})
	}
	return all, true
}
