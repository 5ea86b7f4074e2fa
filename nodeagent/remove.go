// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"context"
	"errors"

	"github.com/kata-node/kata-node/api/node"
)

// RemoveAll takes passes until nothing of an installation is left. It does not wait: where
// something holds the removal up, or a step fails, the error is the sentence about it, and another
// call continues where this one ended. Its API has to want the node to be Absent.
func (a *Agent) RemoveAll(ctx context.Context) error {
	for {
		result := a.Pass(ctx)
		if ctx.Err() == nil && result.Next > 0 && !finished(result) {
			result = a.Pass(ctx) // the report of a failed step comes with the next pass
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case finished(result):
			return nil
		case result.Next > 0:
			return errors.New(result.Sentence)
		}
	}
}

// finished is a node on which nothing is wanted, nothing is there, and nothing remembers an intent.
func finished(r Result) bool { return r.Plan.Phase == node.PhaseIdle && len(r.Plan.Lines) == 0 }
