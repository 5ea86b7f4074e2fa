// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/fileclient"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/nodeclient"
	"github.com/kata-node/kata-node/nodeagent/settings"
)

func TestTheReasonForPodsIsWrittenWhileTheyMayNeedIt(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	var shown []string
	log := logrus.New()
	log.SetOutput(t.Output())
	say := sayer(tree, func(sentence string) { shown = append(shown, sentence) }, log)

	say("nothing is wanted", false)
	_, err := tree.Read(host.PendingReason)
	require.ErrorIs(t, err, fs.ErrNotExist)
	say("installing", true)
	say("payload 1 serves", false)
	reason, err := tree.Read(host.PendingReason)
	require.NoError(t, err)
	assert.Equal(t, "installing\n", string(reason))
	assert.Equal(t, []string{"nothing is wanted", "installing", "payload 1 serves"}, shown)
}

func TestBadSettingsAreNamed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file := filepath.Join(root, "etc/kata-agent/a.toml")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte("crio_units = 'x'"), 0o600))
	for _, name := range []string{"run", "status"} {
		c := command()
		c.SetArgs([]string{name, "--root", root})
		c.SetOut(io.Discard)
		require.ErrorContains(t, c.ExecuteContext(t.Context()), `reading settings /etc/kata-agent/a.toml: line 1: unknown key "crio_units"`, name)
	}
}

func TestAnAgentThatIsOutdatedEndsWithItsReason(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancelCause(t.Context())
	end(&host.Outdated{What: "/etc/ssl/cert.pem", Err: errors.New("x509: unknown authority")})
	require.EqualError(t, renewal(ctx), "the agent starts anew: x509: unknown authority; /etc/ssl/cert.pem has changed since this process read it")
	stopped, stop := context.WithCancelCause(t.Context())
	stop(nil)
	assert.NoError(t, renewal(stopped), "one that systemd stops ends without an error")
}

func TestASecondAgentDoesNotStart(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	_, err := files.Below(root).Lock(host.LockFile)
	require.NoError(t, err)
	c := command()
	c.SetArgs([]string{"run", "--root", root})
	require.ErrorContains(t, c.ExecuteContext(t.Context()), "another agent works on this host: stop kata-agent.service first")
}

func TestStatusWritesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store := filepath.Join(root, host.StoreDir)
	require.NoError(t, os.MkdirAll(store, 0o700))
	w, err := wire(root)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.cri.Close()) })
	images, err := w.untouched().Images.List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, images)
	entries, err := os.ReadDir(store)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestEverythingIsBelowTheRoot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	w, err := wire(root)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.cri.Close()) })
	assert.Equal(t, filepath.Join(root, "var/lib/kubelet/kubeconfig"), w.kubeconfig(root))
	assert.Equal(t, filepath.Join(root, host.DropIn), w.host.Files.Path(host.DropIn))
	assert.NotEmpty(t, w.self.BootID)
	assert.NotEmpty(t, w.self.Kernel)
	assert.False(t, w.host.Images.Exists())
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	assert.Empty(t, entries, "wiring writes nothing")
}

func TestTheIntentComesFromAFileWhereASettingNamesOne(t *testing.T) {
	t.Parallel()
	w := &wiring{tree: files.Below(t.TempDir())}
	assert.IsType(t, &nodeclient.Client{}, w.source("/", logger()))
	w.settings = settings.Settings{IntentFile: "/etc/kata-agent/intent.json"}
	assert.IsType(t, &fileclient.Client{}, w.source("/", logger()))
}
