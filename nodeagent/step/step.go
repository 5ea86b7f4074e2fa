// SPDX-License-Identifier: Apache-2.0

// Package step carries out the steps of a plan. Each checks, changes atomically and can be repeated
// after a crash at any point of it.
package step

import (
	"context"
	"fmt"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// Runner runs steps on a host.
type Runner struct {
	Host host.Host
	Self host.Identity
	// Node takes this node out of service for a reboot, and back into it.
	Node cluster.Drain
	// Tell receives how far a long step has come, for people.
	Tell func(sentence string)
	// Progressed receives how far a pull is, for figures; it may be nil.
	Progressed func(host.Progress)
	// Now is the clock of what observes the host. Without it, no observation is too old for a
	// restart of CRI-O.
	Now func() time.Time
}

// publicFile is the mode of drop-in and configuration, which CRI-O and people read.
const publicFile = 0o644

// Prepare is for the moment before CRI-O starts. It makes sure that current and proof lead
// somewhere, and that an armed node has its drop-in.
func (r Runner) Prepare(ctx context.Context) error {
	early, err := observe.Observer{Host: r.Host, Self: r.Self}.Early()
	if err != nil {
		return err
	}
	for _, s := range plan.Prepare(early) {
		if err := r.Run(ctx, s, early); err != nil {
			return fmt.Errorf("%s: %w", s.Kind, err)
		}
	}
	return nil
}

// Run carries out one step of a plan made from these facts. The error names the operation and what
// it was about.
func (r Runner) Run(ctx context.Context, s plan.Step, f plan.Facts) error {
	switch s.Kind {
	case plan.Keep, plan.Forget:
		return r.keep(s, f)
	case plan.Pull, plan.Prefetch:
		return r.pull(ctx, s)
	case plan.Mount, plan.Verify, plan.VerifyAgain:
		return r.payload(ctx, s)
	case plan.Resume, plan.KeepFindings, plan.DropFindings:
		return r.findings(ctx, s)
	case plan.BuildGuest, plan.BuildAhead, plan.DeleteGuest:
		return r.guest(ctx, s, f)
	case plan.Configure:
		return r.configure(ctx, s, node.Handler)
	case plan.LayerPackages, plan.UnlayerPackages:
		return r.packages(ctx, s, f)
	case plan.LoadModules:
		return r.loadModules(ctx)
	case plan.WriteDropIn, plan.RemoveDropIn:
		return r.dropIn(s)
	case plan.RestartCRIO:
		return r.restartCRIO(ctx, f)
	case plan.StartDependents, plan.ConfirmNode:
		return r.restarted(ctx, s, f.Runtime.Restarted)
	case plan.PointProof, plan.PointCurrent:
		return r.point(s)
	case plan.Prove, plan.Control:
		return r.prove(ctx, s)
	case plan.Record, plan.Withdraw:
		return r.served(s, f.Store.Served)
	case plan.Unmount:
		return r.unmount(s.Slot)
	case plan.DeleteImage:
		return r.Host.Images.Delete(ctx, s.Object)
	case plan.RemoveSandbox, plan.Reclaim:
		return r.end(ctx, s, f.Runtime.Sandboxes)
	case plan.Clear:
		return r.clear(ctx)
	case plan.Cordon, plan.Drain, plan.RebootNode, plan.Uncordon, plan.ForgetReboot:
		return r.reboot(ctx, s)
	}
	return fmt.Errorf("step %q is unknown", s.Kind)
}

func (r Runner) keep(s plan.Step, f plan.Facts) error {
	if s.Kind == plan.Forget {
		return record.RemoveIntent(r.Host.Files)
	}
	return record.SaveIntent(r.Host.Files, *f.Intent.Wanted)
}

func (r Runner) dropIn(s plan.Step) error {
	if s.Kind == plan.RemoveDropIn {
		return r.remove(host.DropIn)
	}
	return r.writeDropIn()
}

// restarted ends what a restart of CRI-O has left to do.
func (r Runner) restarted(ctx context.Context, s plan.Step, last record.Restarted) error {
	if s.Kind == plan.ConfirmNode {
		return r.confirmNode(last)
	}
	return r.startDependents(ctx, last)
}

func (r Runner) served(s plan.Step, before *record.Served) error {
	if s.Kind == plan.Withdraw {
		return record.RemoveServed(r.Host.Files)
	}
	return before.Next(s.Payload, s.Slot).Save(r.Host.Files)
}

func (r Runner) point(s plan.Step) error {
	link := host.CurrentLink
	if s.Kind == plan.PointProof {
		link = host.ProofLink
	}
	return r.Host.Files.Link(link, host.Target(s.Slot))
}

func (r Runner) pull(ctx context.Context, s plan.Step) error {
	what := "pulling payload"
	if s.Kind == plan.Prefetch {
		what = "fetching ahead of time payload"
	}
	return r.Host.Images.Pull(ctx, s.Payload, func(p host.Progress) {
		if r.Progressed != nil {
			r.Progressed(p)
		}
		if p.Total > 0 {
			r.Tell(fmt.Sprintf("%s %s: %d of %d MB", what, s.Payload, p.Done/1e6, p.Total/1e6))
		}
	})
}

// clear deletes what an installation leaves outside the run directory. The intent stays until the
// controller has taken it off the Node.
func (r Runner) clear(ctx context.Context) error {
	// With the store, the directory above both is deleted if it is empty then.
	if err := r.Host.Files.Remove(host.GuestsDir); err != nil {
		return fmt.Errorf("removing %s: %w", host.GuestsDir, err)
	}
	if err := r.Host.Images.Destroy(ctx); err != nil {
		return err
	}
	for _, file := range host.Leftovers() {
		if err := r.remove(file); err != nil {
			return fmt.Errorf("removing %s: %w", file, err)
		}
	}
	return nil
}
