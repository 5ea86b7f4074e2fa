// SPDX-License-Identifier: Apache-2.0

package fileclient_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/fileclient"
)

var (
	_ cluster.API   = (*fileclient.Removal)(nil)
	_ cluster.Drain = (*fileclient.Removal)(nil)
)

func TestARemovalIsClearedOnceItIsAnswered(t *testing.T) {
	t.Parallel()
	r, err := fileclient.NewRemoval()
	require.NoError(t, err)
	i, err := node.DecodeIntent(r.State().Intent)
	require.NoError(t, err)
	assert.Equal(t, node.StateAbsent, i.State)
	for phase, wanted := range map[node.Phase]bool{node.PhaseBlocked: true, node.PhaseRemoving: true, node.PhaseAbsent: false} {
		require.NoError(t, r.Publish(t.Context(), node.Report{Phase: phase}, cluster.Condition{}, time.Now()))
		assert.Equal(t, wanted, r.State().Intent != "", phase)
		assert.True(t, r.State().Known)
	}
}
