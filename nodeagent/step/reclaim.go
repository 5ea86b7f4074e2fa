// SPDX-License-Identifier: Apache-2.0

package step

import (
	"context"
	"fmt"
	"path"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// maxReclaims is how often a proof is reclaimed. With the time between two tries that is longer
// than the two minutes after which CRI-O ends by itself what was not asked for again.
const maxReclaims = 8

// asks notes that the runtime is asked for a proof: an agent that ends before the answer never
// learns the sandbox's id.
func (r Runner) asks(name string) error {
	return r.change(func(asked map[string]int) { asked[name] = 0 })
}

// answered notes that the runtime has named the sandbox of a proof, or has none.
func (r Runner) answered(name string) error {
	return r.change(func(asked map[string]int) { delete(asked, name) })
}

// end ends a sandbox that no pod needs.
func (r Runner) end(ctx context.Context, s plan.Step, sandboxes []plan.Sandbox) error {
	if s.Kind == plan.Reclaim {
		return r.reclaim(ctx, s.Object)
	}
	if err := r.Host.Sandboxes.Remove(ctx, s.Object); err != nil {
		return err
	}
	for _, of := range sandboxes {
		if of.ID == s.Object && of.Proof() {
			r.dropLogs(path.Base(of.Name)) // After its namespace.
		}
	}
	return nil
}

// dropLogs deletes the logs of a proof whose sandbox is not there any more.
func (r Runner) dropLogs(proof string) {
	_ = r.Host.Files.Remove(host.ProofLogs + "/" + proof) //nolint:errcheck // the removal deletes them, too
}

// reclaim ends what an interrupted proof has left with the runtime.
func (r Runner) reclaim(ctx context.Context, name string) error {
	failure := r.Host.Sandboxes.Reclaim(ctx, name)
	if failure == nil {
		r.dropLogs(name)
		return r.answered(name)
	}
	if ctx.Err() != nil {
		return failure
	}
	if err := r.change(func(asked map[string]int) {
		if asked[name]++; asked[name] >= maxReclaims {
			delete(asked, name)
		}
	}); err != nil {
		return fmt.Errorf("%w; %w", failure, err)
	}
	return failure
}

func (r Runner) change(change func(asked map[string]int)) error {
	proofs, err := record.LoadProofs(r.Host.Files)
	if err != nil {
		return err
	}
	if proofs.Asked == nil {
		proofs.Asked = map[string]int{}
	}
	change(proofs.Asked)
	return proofs.Save(r.Host.Files)
}
