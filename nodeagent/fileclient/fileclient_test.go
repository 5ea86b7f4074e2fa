// SPDX-License-Identifier: Apache-2.0

package fileclient_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/fileclient"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
)

const intentFile = "/etc/kata-agent/intent.json"

var (
	_ cluster.API   = (*fileclient.Client)(nil)
	_ cluster.Drain = (*fileclient.Client)(nil)
)

// payload is the image that documents name.
func payload(digit string) string { return "r.example/p@sha256:" + strings.Repeat(digit, 64) }

func newClient(t *testing.T) (*fileclient.Client, files.Tree) {
	t.Helper()
	tree := files.Below(t.TempDir())
	log, _ := test.NewNullLogger()
	return fileclient.New(tree, intentFile, log), tree
}

func write(t *testing.T, tree files.Tree, document string) {
	t.Helper()
	require.NoError(t, tree.Write(intentFile, []byte(document), 0o600))
}

func TestWithoutAFileNothingIsWanted(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t)
	assert.Equal(t, cluster.State{Known: true, PodsKnown: true, Alone: true, Cordoned: true}, c.State())
}

func TestAnIntentWithoutAnIDGetsThatOfItsContent(t *testing.T) {
	t.Parallel()
	c, tree := newClient(t)
	ids := map[string]bool{}
	for _, digit := range []string{"a", "b", "a"} {
		write(t, tree, `{"version": 1, "state": "Installed", "payload": "`+payload(digit)+`", "grants": {"restartCRIO": "boot-1"}}`)
		i, err := node.DecodeIntent(c.State().Intent)
		require.NoError(t, err)
		assert.Equal(t, payload(digit), i.Payload)
		assert.Equal(t, "boot-1", i.Grants.RestartCRIO)
		ids[i.ID] = true
	}
	assert.Len(t, ids, 2, "the same content has the same id")

	whole := `{"version": 1, "id": "mine", "state": "Absent"}`
	write(t, tree, whole)
	assert.Equal(t, whole, c.State().Intent)
	write(t, tree, `{"version": 1, "state": "Installed", "payload": "p:latest"}`)
	_, err := node.DecodeIntent(c.State().Intent)
	require.Error(t, err, "what cannot be followed is passed on, for its error")
}

func TestAFileThatOthersMayWriteIsAProblem(t *testing.T) {
	t.Parallel()
	c, tree := newClient(t)
	write(t, tree, `{"version": 1, "id": "i", "state": "Absent"}`)
	require.NoError(t, os.Chmod(tree.Path(intentFile), 0o666))
	shown := c.State()
	assert.Empty(t, shown.Intent)
	assert.False(t, shown.Known, "nothing is forgotten for it")
	assert.Contains(t, shown.Problem, "the intent file is not followed: ")
	assert.Contains(t, shown.Problem, "chmod go-w it")
}

func TestTheReportIsAFile(t *testing.T) {
	t.Parallel()
	c, tree := newClient(t)
	assert.Zero(t, c.Reported())
	r := node.Report{Version: node.Version, Speaks: []int{node.Version}, IntentID: "i", BootID: "b", Architecture: "amd64", Phase: node.PhaseIdle}
	require.NoError(t, c.Publish(t.Context(), r, cluster.Condition{}, time.Now()))
	assert.Equal(t, r, c.Reported())
	info, err := os.Stat(tree.Path(host.ReportFile))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode())
	require.NoError(t, tree.Write(host.ReportFile, []byte("{"), 0o644))
	assert.Zero(t, c.Reported(), "one that cannot be read is none")
}

func TestAChangeOfTheFileIsNews(t *testing.T) {
	t.Parallel()
	c, tree := newClient(t)
	require.NoError(t, os.MkdirAll(tree.Path("/etc/kata-agent"), 0o755))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	<-c.Changed()
	write(t, tree, "{}")
	<-c.Changed()
	stop()
	<-ended
}

func TestADirectoryThatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	log, hook := test.NewNullLogger()
	fileclient.New(files.Below(t.TempDir()), intentFile, log).Run(t.Context())
	require.Len(t, hook.AllEntries(), 1)
	assert.Equal(t, "Changes of the intent file are found once a minute", hook.LastEntry().Message)
}
