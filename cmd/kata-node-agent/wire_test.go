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
	assert.Zero(t, w.told(), "nothing is known of a cluster that was not asked")

	require.NoError(t, tree.Write("/etc/kata-agent/50-intent.toml", []byte(`intent_file = "/etc/kata-agent/intent.json"`), 0o644))
	require.NoError(t, tree.Write("/etc/kata-agent/intent.json", []byte(`{"version": 1, "id": "x", "state": "Absent"}`), 0o600))
	w, err = wire(root)
	require.NoError(t, err)
	told := w.told()
	assert.True(t, told.Alone)
	assert.Contains(t, told.Intent, `"id": "x"`)
}
