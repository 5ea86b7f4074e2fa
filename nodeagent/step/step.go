// SPDX-License-Identifier: Apache-2.0

// Package step carries out the steps of a plan. Each checks, changes atomically and can be repeated after a crash at any point of it.
package step

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// Runner runs steps on a host.
type Runner struct {
	Host host.Host
	Self observe.Self
	// Tell is told how far a long step has come, for people.
	Tell func(sentence string)
}

// Modes of what the runner writes: CRI-O and people read drop-in and configuration, nobody else reads the agent's records.
const (
	publicFile  = 0o644
	privateFile = 0o600
)

// Run carries out one step of a plan made from these facts. The error names the operation and what it was about.
func (r Runner) Run(ctx context.Context, s plan.Step, f plan.Facts) error {
	switch s.Kind {
	case plan.Keep:
		return r.keep(*f.Wanted)
	case plan.Forget:
		return r.Host.Files.Remove(host.IntentFile)
	case plan.Pull:
		return r.pull(ctx, s.Payload)
	case plan.Mount:
		return r.mount(ctx, s)
	case plan.Verify:
		return r.verify(ctx, s)
	case plan.Configure:
		return r.configure(s)
	case plan.WriteDropIn:
		return r.writeDropIn(ctx)
	case plan.RestartCRIO:
		return r.restartCRIO(ctx, f)
	case plan.PointProof:
		return r.Host.Files.Link(host.ProofLink, host.Target(s.Version))
	case plan.PointCurrent:
		return r.Host.Files.Link(host.CurrentLink, host.Target(s.Version))
	case plan.Prove:
		return r.prove(ctx, s, f)
	case plan.Record:
		return r.record(host.ServedFile, plan.Served{Payload: s.Payload, Version: s.Version})
	case plan.Unmount:
		return r.unmount(s.Version)
	case plan.DeleteImage:
		return r.Host.Images.Delete(ctx, s.Object)
	case plan.RemoveSandbox:
		return r.Host.Sandboxes.Remove(ctx, s.Object)
	case plan.RemoveDropIn:
		return r.Host.Files.Remove(host.DropIn)
	case plan.Clear:
		return r.clear(ctx)
	}
	return fmt.Errorf("step %q is unknown", s.Kind)
}

// keep writes the intent without its grants, which hold for one boot and once.
func (r Runner) keep(intent node.Intent) error {
	intent.Grants = node.Grants{}
	document, err := intent.Encode()
	if err != nil {
		return err
	}
	return r.Host.Files.Write(host.IntentFile, []byte(document), privateFile)
}

func (r Runner) record(file string, value any) error {
	document, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return r.Host.Files.Write(file, document, privateFile)
}

func (r Runner) pull(ctx context.Context, payload string) error {
	return r.Host.Images.Pull(ctx, payload, func(p host.Progress) {
		if p.Total > 0 {
			r.Tell(fmt.Sprintf("pulling payload %s: %d of %d MB", payload, p.Done/1e6, p.Total/1e6))
		}
	})
}

func (r Runner) unmount(version string) error {
	mounted, err := r.Host.Mounts.Below(host.PayloadDir(version), 0)
	if err != nil {
		return err
	}
	// More than one mount can lie on or in another only by somebody else's hand; each goes, the last one first.
	for _, point := range slices.Backward(mounted) {
		if err := r.Host.Mounts.Unmount(point); err != nil {
			return err
		}
	}
	return r.Host.Files.Remove(host.VersionDir(version))
}

// clear deletes what an installation leaves outside the run directory. The intent stays until the controller has taken it off the Node.
func (r Runner) clear(ctx context.Context) error {
	if err := r.Host.Images.Destroy(ctx); err != nil {
		return err
	}
	for _, file := range host.Leftovers() {
		if err := r.Host.Files.Remove(file); err != nil {
			return fmt.Errorf("removing %s: %w", file, err)
		}
	}
	return nil
}
