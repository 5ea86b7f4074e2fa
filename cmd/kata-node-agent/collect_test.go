// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/bundle"
	"github.com/kata-node/kata-node/nodeagent/host/files"
)

// planted are files of a node with secrets in them, each in another form.
func planted() map[string]string {
	login := base64.StdEncoding.EncodeToString([]byte("robot:planted-pull-word"))
	return map[string]string{
		"/var/lib/kubelet/config.json":                                `{"auths": {"registry.example": {"auth": "` + login + `"}}}`,
		"/var/lib/kubelet/kubeconfig":                                 "users:\n- name: n\n  user: {token: planted-kube-token}\n",
		"/var/lib/kubelet/pki/kubelet-client.pem":                     "-----BEGIN PRIVATE KEY-----\nplanted-kubelet-key\n-----END PRIVATE KEY-----\n",
		"/etc/mco/proxy.env":                                          "HTTPS_PROXY=http://user:planted-proxy-word@proxy.example:3128\n",
		"/etc/crio/crio.conf.d/90-other":                              "[crio.image]\n# robot's is planted-pull-word, in base64 " + login + "\n",
		"/etc/containers/registries.conf.d/10.conf":                   "[[registry]]\nlocation = 'https://u:planted-mirror-word@mirror.example'\n",
		"/etc/kata-agent/config.d/50.toml":                            "[agent.kata]\npassword = 'planted-agent-word'\n",
		"/run/kata-agent/slots/0123456789abcdef/console.txt":          "Authorization: Bearer planted-bearer-word\nKernel panic - not syncing: no init\n",
		"/run/kata-agent/slots/0123456789abcdef/origin.json":          `{"payload": "registry.example/kata@sha256:0123"}`,
		"/run/kata-agent/slots/0123456789abcdef/payload/usr/bin/shim": "a program",
		"/var/lib/kata-agent/intent.json":                             `{"id": "i1"}`,
	}
}

func archived(t *testing.T, root string) map[string]string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, collect(t.Context(), root, &out, time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), bundle.Patience))
	plain, err := gzip.NewReader(&out)
	require.NoError(t, err)
	found := map[string]string{}
	for parts := tar.NewReader(plain); ; {
		header, err := parts.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		content, err := io.ReadAll(parts)
		require.NoError(t, err)
		found[header.Name] = string(content)
	}
}

func TestAnArchiveHasWhatHelpsAndNoSecret(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree := files.Below(root)
	for file, content := range planted() {
		require.NoError(t, tree.Write(file, []byte(content), 0o600))
	}
	require.NoError(t, tree.Link("/run/kata-agent/current", "slots/0123456789abcdef"))
	parts := archived(t, root)
	for name, content := range parts {
		assert.NotContains(t, content, "planted", name)
		assert.NotContains(t, content, base64.StdEncoding.EncodeToString([]byte("robot:planted-pull-word")), name)
		assert.NotContains(t, name, "kubelet")
		assert.NotContains(t, name, "payload/")
	}
	assert.Contains(t, parts["files/run/kata-agent/slots/0123456789abcdef/console.txt"], "Kernel panic - not syncing: no init")
	assert.Contains(t, parts["files/run/kata-agent/slots/0123456789abcdef/origin.json"], "registry.example/kata@sha256:0123")
	assert.JSONEq(t, `{"id": "i1"}`, parts["files/var/lib/kata-agent/intent.json"])
	assert.Contains(t, parts["files/etc/crio/crio.conf.d/90-other"], "[crio.image]")
	assert.Contains(t, parts["files.txt"], "/run/kata-agent/current -> slots/0123456789abcdef")
	for _, name := range []string{"about.txt", "check.json", "images.json", "processes.json", "mounts.txt", "thresholds.json"} {
		assert.Contains(t, parts, name)
	}
}

func TestAnArchiveIsWrittenOnANodeWhoseSettingsCannotBeRead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, files.Below(root).Write("/etc/kata-agent/10.toml", []byte("misspelt = 1\n"), 0o600))
	parts := archived(t, root)
	assert.Contains(t, parts["settings.problem"], "misspelt")
	assert.Contains(t, parts, "files/etc/kata-agent/10.toml")
	assert.Contains(t, parts, "about.txt")
}

func TestAnArchiveNamesASecretThatItCouldNotLookFor(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "var/lib/kubelet/config.json"), 0o755))
	parts := archived(t, root)
	assert.Regexp(t, `^reading /var/lib/kubelet/config.json: .*not a regular file\n$`, parts["secrets.problem"])
	assert.Contains(t, parts, "about.txt")
}

func TestAnArchiveReplacesNoFile(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "a.tar.gz")
	require.NoError(t, os.WriteFile(out, []byte("mine"), 0o600))
	c := command()
	c.SetArgs([]string{"collect", "--root", t.TempDir(), "--output", out})
	require.ErrorIs(t, c.ExecuteContext(t.Context()), os.ErrExist)
}
