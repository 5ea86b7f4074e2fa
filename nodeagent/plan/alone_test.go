// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// alone is a node without a cluster.
func alone(w world) world {
	w.facts.Cluster.Alone = true
	return w
}

func TestANodeWithoutAClusterNamesItsIntentFileAndNoController(t *testing.T) {
	t.Parallel()
	w := alone(booted(install("a")))
	w.facts.Intent.Wanted.Grants.RestartCRIO = ""
	_, last := w.settle(t)
	assert.Equal(t, node.PhaseAwaitingGrant, last.Phase)
	assert.Equal(t, "a grant to restart CRI-O in this boot: write the boot's id as grants.restartCRIO into the intent file", last.Wait)
	assert.True(t, last.Alone)

	w = alone(installed(t, "a"))
	w.facts.Intent, w.facts.Slots.Current = plan.Intent{}, plan.Pending
	assert.Equal(t, "an intent file that says what is wanted of the installation on this node", plan.For(w.facts).Wait)
}

func TestAFurtherHandlerOfANodeWithoutAClusterIsNamedInTheFile(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"debug": "offers no handler kata-oc-debug: take debug out of handlers in the intent file",
		"clh":   "this agent knows no handler kata-oc-clh: install a newer agent, or take clh out of handlers in the intent file",
	} {
		w := alone(installed(t, "a"))
		w.names("a", name)
		_, last := w.settle(t)
		require.NotNil(t, last.Problem, name)
		assert.Equal(t, node.ReasonHandlerNotOffered, last.Problem.Reason)
		assert.Contains(t, last.Problem.Message, says)
	}
}
