// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/images"
)

const bundle = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"

// unknown is a node whose registry has a certificate of an authority that it does not know.
func unknown(t *testing.T) node {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	n := newNode(t, newSource(t))
	n.put(t, "/etc/containers/registries.conf", "[[registry]]\nprefix = 'registry.kata.test'\nlocation = '"+server.Listener.Addr().String()+"'\n")
	n.put(t, bundle, "old")
	n.store = images.Below(n.root, host.StoreDir, host.StoreRunDir, "/var/lib/kubelet/config.json")
	return n
}

// fail pulls and returns the file because of which another process may succeed.
func (n node) fail(t *testing.T) (changed string) {
	t.Helper()
	err := n.store.Pull(t.Context(), repository+"@sha256:"+strings.Repeat("a", 64), func(host.Progress) {})
	require.ErrorContains(t, err, "x509: ")
	if outdated, ok := errors.AsType[*host.Outdated](err); ok {
		return outdated.What
	}
	return ""
}

func TestAChangedBundleIsAReasonForANewProcess(t *testing.T) {
	t.Parallel()
	n := unknown(t)
	assert.Empty(t, n.fail(t), "the same bundle gives the same answer")
	for what, change := range map[string]func(){
		"written": func() { n.put(t, bundle, "new, and longer") },
		"replaced": func() {
			n.put(t, bundle+".new", "old")
			require.NoError(t, os.Rename(n.file(bundle+".new"), n.file(bundle)))
		},
		"deleted": func() { require.NoError(t, os.Remove(n.file(bundle))) },
	} {
		n.put(t, bundle, "old")
		n.store = images.Below(n.root, host.StoreDir, host.StoreRunDir, "/var/lib/kubelet/config.json")
		change()
		assert.Equal(t, bundle, n.fail(t), what)
	}
}

// A pull that fails for another reason is no reason, whatever has changed.
func TestAChangedBundleAloneIsNoReason(t *testing.T) {
	t.Parallel()
	n := newNode(t, newSource(t))
	n.put(t, bundle, "added")
	err := n.store.Pull(t.Context(), repository+"@sha256:"+strings.Repeat("a", 64), func(host.Progress) {})
	require.Error(t, err)
	var outdated *host.Outdated
	assert.NotErrorAs(t, err, &outdated)
}

func (n node) file(path string) string { return filepath.Join(n.root, path) }
