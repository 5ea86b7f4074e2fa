// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/signature/sigstore"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/transport"
)

// key makes a pair of keys: the private one for a build, the public one on the node.
func (n node) key(t *testing.T, public string) *transport.Signing {
	t.Helper()
	pair, err := sigstore.GenerateKeyPair(nil)
	require.NoError(t, err)
	n.put(t, public, string(pair.PublicKey))
	private := public + ".private"
	n.put(t, private, string(pair.PrivateKey))
	return &transport.Signing{KeyFile: n.file(private), Identity: repository + ":v1"}
}

// trust makes a node pull only what is signed with a key, and look for signatures. The library
// looks by the name of the mirror, not by that of the registry it stands for.
func (n node) trust(t *testing.T, public string) {
	t.Helper()
	n.put(t, "/etc/containers/policy.json", fmt.Sprintf(`{"default": [{"type": "reject"}], "transports": {"docker": {%q: [
		{"type": "sigstoreSigned", "keyPath": %q}]}}}`, repository, n.file(public)))
	n.put(t, "/etc/containers/registries.d/kata.yaml", "default-docker:\n  use-sigstore-attachments: true\n")
}

// The host's own policy decides about signatures that kata-payload has made.
func TestAPolicyDemandsASignature(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	const public = "/etc/pki/containers/kata.pub"
	key := n.key(t, public)
	n.trust(t, public)
	p, name := s.publish(t, "1.0.0")
	pull := func() error { return n.store.Pull(t.Context(), name, func(host.Progress) {}) }
	sign := func(with *transport.Signing) {
		target, err := transport.ParseTarget("docker://" + s.address() + "/kata/payload:v1")
		require.NoError(t, err)
		_, err = transport.Push(t.Context(), p.Image, target, transport.Options{SkipTLSVerify: true, Signing: with})
		require.NoError(t, err)
	}

	err := pull()
	require.ErrorContains(t, err, "pulling payload \""+name+"\"")
	require.ErrorContains(t, err, "A signature was required, but no signature exists")

	sign(n.key(t, "/etc/pki/containers/other.pub"))
	require.ErrorContains(t, pull(), "cryptographic signature verification failed")

	elsewhere := *key
	elsewhere.Identity = "registry.kata.test/elsewhere/payload:v1"
	sign(&elsewhere)
	require.ErrorContains(t, pull(), "registry.kata.test/elsewhere/payload:v1")
	assert.Empty(t, n.list(t))

	sign(key)
	require.NoError(t, pull())
	assert.Len(t, n.list(t), 1)
}
