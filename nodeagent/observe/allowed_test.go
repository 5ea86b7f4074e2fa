// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// An administrator may narrow allowed_payloads while a node serves a payload, also one that a slot
// or the record of what was served names.
func TestAKeptIntentThatIsNotAllowedAnyMoreIsAnIntentProblem(t *testing.T) {
	t.Parallel()
	m := machine(t)
	files := m.Host().Files
	i, _ := intent("a", "")
	require.NoError(t, record.SaveIntent(files, i))
	prepare(t, m, "v1")
	require.NoError(t, files.Link(host.CurrentLink, host.Target("v1")))
	require.NoError(t, record.Served{Payload: i.Payload, Slot: "v1"}.Save(files))
	o := observer(m)
	o.Self.AllowedPayloads = []string{"r.example/other"}
	for _, shown := range []cluster.State{{}, {Known: true, PodsKnown: true}} {
		f, err := o.Look(t.Context(), shown)
		require.NoError(t, err)
		p := plan.For(f)
		assert.Equal(t, node.PhaseInstalling, p.Phase)
		assert.Empty(t, p.Tidy)
		for _, s := range p.Steps() {
			assert.NotEqual(t, plan.Pull, s.Kind)
			assert.NotEqual(t, plan.Unmount, s.Kind)
		}
		r := report.Make(f, p, nil, node.Report{}, time.Now())
		assert.Equal(t, i.ID, r.IntentID)
		require.NotNil(t, r.Error)
		assert.Equal(t, node.ReasonInvalidIntent, r.Error.Reason)
		assert.Contains(t, r.Error.Message, "allowed_payloads")
		assert.Contains(t, r.Error.Message, i.Payload)
	}
}
