// SPDX-License-Identifier: Apache-2.0

package crio

import (
	"context"
	"errors"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// noHandler is one that no runtime has.
const noHandler = "kata-agent-reclaims"

// Reclaim stops and removes the sandbox that a Prove of this name has started whose caller ended
// before the answer.
//
// CRI-O keeps such a sandbox for one to two minutes, for a caller that asks for the same name again
// (finalizeSandboxCreation in server/sandbox_run_linux.go and internal/resourcestore of 1.36).
// Until then it neither lists the sandbox nor stops it. So this asks for the name again, with a
// handler that does not exist: CRI-O looks at the name before it looks at the handler, so it
// returns what it has, and starts nothing where it has nothing.
func (c *Client) Reclaim(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, reclaimLimit)
	defer cancel()
	answer, err := c.cri.RunPodSandbox(limited, &cri.RunPodSandboxRequest{RuntimeHandler: noHandler, Config: proof(name, c.parent(ctx))})
	if err == nil {
		return c.Remove(ctx, answer.GetPodSandboxId())
	}
	if _, none := errors.AsType[*host.UnknownHandler](explain(noHandler, err)); none {
		return nil
	}
	return said("reclaiming sandbox "+name, err)
}
