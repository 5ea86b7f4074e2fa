// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// abandoned is a host on which an agent was killed while CRI-O started its proof.
func abandoned(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.want(t, installing(one()))
	b.Handlers = []string{node.Handler, node.ProofHandler}
	s, f := b.until(t, plan.Prove)
	r := b.runner()
	r.Host.Sandboxes = killed{r.Host.Sandboxes}
	require.Error(t, r.Run(t.Context(), s, f))
	require.Len(t, b.Sandboxes, 1)
	b.Abandon(b.Sandboxes[0].Name)
	return b
}

// killed is a CRI-O whose answer the agent does not live to read.
type killed struct{ host.Sandboxes }

func (k killed) Prove(ctx context.Context, handler, name string) (string, error) {
	if _, err := k.Sandboxes.Prove(ctx, handler, name); err != nil {
		return "", err
	}
	return "", errors.New("killed")
}

func TestTheSandboxOfAnInterruptedProofIsReclaimedByItsName(t *testing.T) {
	t.Parallel()
	b := abandoned(t)
	require.Len(t, b.Unlisted, 1)
	f := b.look(t)
	assert.Empty(t, f.Runtime.Sandboxes, "CRI-O does not list it")
	want := plan.Step{Kind: plan.Reclaim, Object: b.Unlisted[0].Name}
	require.Contains(t, plan.For(f).Tidy, want)
	require.NoError(t, b.runner().Run(t.Context(), want, f))
	assert.Empty(t, b.Unlisted)
	assert.Empty(t, b.look(t).Runtime.Asked)
	assert.NoFileExists(t, filepath.Join(b.Root, host.ProofsFile))
}

func TestARemovalReclaimsAnInterruptedProofToo(t *testing.T) {
	t.Parallel()
	b := abandoned(t)
	b.want(t, node.Intent{State: node.StateAbsent})
	done, last := b.settle(t)
	assert.Contains(t, done, plan.Reclaim, "its shim uses the payload")
	assert.Equal(t, node.PhaseAbsent, last.Phase)
	assert.NoFileExists(t, filepath.Join(b.Root, host.ProofsFile))
}

func TestAProofIsReclaimedForLongerThanCRIOKeepsItAndNotForEver(t *testing.T) {
	t.Parallel()
	b := abandoned(t)
	s := plan.Step{Kind: plan.Reclaim, Object: b.Unlisted[0].Name}
	b.Silent = true
	tries := 0
	for asked := []string{""}; len(asked) > 0; tries++ {
		require.ErrorContains(t, b.runner().Run(t.Context(), s, plan.Facts{}), "reclaiming")
		left, err := record.LoadProofs(b.Files)
		require.NoError(t, err)
		asked = left.Names()
	}
	assert.Equal(t, 8, tries)
}

func TestAProofThatCRIOHasAnsweredIsNotReclaimed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, installing(one()))
	b.settle(t)
	assert.NoFileExists(t, filepath.Join(b.Root, host.ProofsFile))
}
