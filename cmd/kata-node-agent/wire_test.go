// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/files"
)

func TestCommandsFollowTheIntentFileWhereThereIsNoCluster(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree := files.Below(root)
	w, err := wire(root)
	require.NoError(t, err)
	assert.Zero(t, w.shown(), "nothing is known of a cluster that was not asked")

	require.NoError(t, tree.Write("/etc/kata-agent/50-intent.toml", []byte(`intent_file = "/etc/kata-agent/intent.json"`), 0o644))
	require.NoError(t, tree.Write("/etc/kata-agent/intent.json", []byte(`{"version": 1, "id": "x", "state": "Absent"}`), 0o600))
	w, err = wire(root)
	require.NoError(t, err)
	shown := w.shown()
	assert.True(t, shown.Alone)
	assert.Contains(t, shown.Intent, `"id": "x"`)
}

func TestSettingsOfPullsReachTheStore(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree := files.Below(root)
	require.NoError(t, tree.Write("/etc/kata-agent/50-pulls.toml", []byte("pull_bandwidth = 65536\nsignature_policy = '/etc/crio/policy.json'\n"), 0o644))
	w, err := wire(root)
	require.NoError(t, err)
	assert.EqualValues(t, 65536, w.store.Bandwidth)
	assert.Equal(t, tree.Path("/etc/crio/policy.json"), w.store.Policy)
	assert.NotNil(t, w.store.RuntimePolicy)
	assert.NotNil(t, w.store.Thresholds)
	assert.NotNil(t, w.store.MostLayers)
	assert.NotNil(t, w.store.Lacks)
}
