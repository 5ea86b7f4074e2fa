// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
)

func TestNothingIsRemovedNextToAnAgentThatRuns(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	_, err := files.Below(root).Lock(host.LockFile)
	require.NoError(t, err)
	c := command()
	c.SetArgs([]string{"remove", "--root", root})
	c.SetOut(io.Discard)
	require.ErrorContains(t, c.ExecuteContext(t.Context()), "another agent works on this host: stop kata-agent.service first")
}

func TestTheReportOfWhatIsRemovedIsDeleted(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	require.NoError(t, forgetReport(tree), "a node of a cluster has none on disk")
	require.NoError(t, tree.Write(host.ReportFile, []byte("{}"), 0o644))
	require.NoError(t, forgetReport(tree))
	_, err := tree.Stat(host.ReportFile)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestWhatWouldInstallItAgainIsNamed(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	off := resting(tree)
	assert.Equal(t, "systemctl disable kata-agent", off)
	require.NoError(t, tree.Write(host.OperatorConfig, []byte("{}"), 0o600))
	assert.Equal(t, "systemctl stop kata-agent, until the next boot", resting(tree), "a unit of a MachineConfig stays enabled")
	installed := &node.Intent{State: node.StateInstalled, Owner: node.Owner{Name: "kata"}}
	assert.Contains(t, again(installed, "", off), "KataConfig kata installs it again when kata-agent.service is started")
	assert.Contains(t, again(installed, "/etc/kata-agent/intent.json", off), "what /etc/kata-agent/intent.json says is done")
	assert.Empty(t, again(&node.Intent{State: node.StateInstalled}, "", off), "it came from a file that is followed no more")
	assert.Empty(t, again(nil, "", off))
	assert.Empty(t, again(&node.Intent{State: node.StateAbsent}, "", off))
}
