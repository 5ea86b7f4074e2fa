// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.podman.io/image/v5/signature/sigstore"

	"github.com/kata-node/kata-node/payload/transport"
)

// newKey makes a pair of keys, as skopeo does, and returns the public key's file.
func newKey(t *testing.T, passphrase string) (*transport.Signing, string) {
	t.Helper()
	pair, err := sigstore.GenerateKeyPair([]byte(passphrase))
	require.NoError(t, err)
	dir := t.TempDir()
	s := &transport.Signing{KeyFile: filepath.Join(dir, "key.private"), PassphraseFile: filepath.Join(dir, "passphrase")}
	public := filepath.Join(dir, "key.pub")
	for file, content := range map[string][]byte{s.KeyFile: pair.PrivateKey, public: pair.PublicKey, s.PassphraseFile: []byte(passphrase + "\n")} {
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	return s, public
}

func signing(t *testing.T, s *transport.Signing) transport.Options {
	t.Helper()
	o := options(t)
	o.Signing = s
	return o
}

func TestAnImageIsSignedAndVerified(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	key, public := newKey(t, "secret")
	_, other := newKey(t, "secret")
	index, _, arm64 := both(t, "1.0.0")
	to := target(t, "docker://"+host+"/kata/payload:v1")
	_, err := transport.Push(t.Context(), index, to, signing(t, key))
	require.NoError(t, err)
	ofIndex := target(t, "docker://"+host+"/kata/payload@"+arm64.Digest)
	for _, at := range []transport.Target{to, ofIndex} {
		require.NoError(t, transport.Verify(t.Context(), at, transport.Trust{KeyFile: public}, options(t)))
		err = transport.Verify(t.Context(), at, transport.Trust{KeyFile: other}, options(t))
		require.ErrorContains(t, err, "verifying the signature of docker://"+host+"/kata/payload@sha256:")
		require.ErrorContains(t, err, "cryptographic signature verification failed")
		assert.NotContains(t, err.Error(), "\n")
	}

	// What is copied keeps its signature, which is for the repository that it was pushed to.
	copied := target(t, "docker://"+host+"/elsewhere/payload:v1")
	_, err = transport.Copy(t.Context(), to, copied, options(t))
	require.NoError(t, err)
	require.ErrorContains(t, transport.Verify(t.Context(), copied, transport.Trust{KeyFile: public}, options(t)), "is not accepted")
	policy := filepath.Join(t.TempDir(), "policy.json")
	text := fmt.Sprintf(`{"default": [{"type": "reject"}], "transports": {"docker": {"%s/elsewhere": [
		{"type": "sigstoreSigned", "keyPath": %q, "signedIdentity": {"type": "exactRepository", "dockerRepository": "%s/kata/payload"}}]}}}`, host, public, host)
	require.NoError(t, os.WriteFile(policy, []byte(text), 0o600))
	require.NoError(t, transport.Verify(t.Context(), copied, transport.Trust{PolicyFile: policy}, options(t)))
	require.ErrorContains(t, transport.Verify(t.Context(), to, transport.Trust{PolicyFile: policy}, options(t)), "is rejected by policy")
	require.ErrorContains(t, transport.Verify(t.Context(), to, transport.Trust{PolicyFile: "/nowhere"}, options(t)), "reading signature policy /nowhere")

	unsigned := target(t, "docker://"+host+"/kata/unsigned:v1")
	_, err = transport.Push(t.Context(), index, unsigned, options(t))
	require.NoError(t, err)
	require.ErrorContains(t, transport.Verify(t.Context(), unsigned, transport.Trust{KeyFile: public}, options(t)), "A signature was required, but no signature exists")
}

func TestTheTagMovesWhenTheSignatureIsThere(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	host := serve(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) bool {
		if !refuse.Load() || r.Method != http.MethodPut || filepath.Ext(r.URL.Path) != ".sig" {
			return false
		}
		http.Error(w, "no", http.StatusForbidden)
		return true
	})
	key, _ := newKey(t, "")
	to := target(t, "docker://"+host+"/kata/payload:v1")
	first := payload(t, "1.0.0")
	_, err := transport.Push(t.Context(), first.Image, to, signing(t, key))
	require.NoError(t, err)
	refuse.Store(true)
	_, err = transport.Push(t.Context(), payload(t, "2.0.0").Image, to, signing(t, key))
	require.ErrorContains(t, err, "podman login "+host)
	sameManifest(t, first, to)
}

// cosign has called the same key by two names.
func TestKeysOfEitherNameAreRead(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	key, public := newKey(t, "secret")
	text, err := os.ReadFile(key.KeyFile)
	require.NoError(t, err)
	require.Contains(t, string(text), "ENCRYPTED COSIGN PRIVATE KEY")
	require.NoError(t, os.WriteFile(key.KeyFile, bytes.ReplaceAll(text, []byte("COSIGN"), []byte("SIGSTORE")), 0o600))
	to := target(t, "docker://"+host+"/kata/payload:v1")
	key.Identity = "registry.example/kata/payload:v1"
	_, err = transport.Push(t.Context(), payload(t, "1.0.0").Image, to, signing(t, key))
	require.NoError(t, err)
	err = transport.Verify(t.Context(), to, transport.Trust{KeyFile: public}, options(t))
	require.ErrorContains(t, err, "registry.example/kata/payload:v1")
}

func TestWhatCannotBeSignedIsSaidBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) bool {
		assert.Contains(t, []string{http.MethodGet, http.MethodHead}, r.Method)
		return false
	})
	key, public := newKey(t, "secret")
	image := payload(t, "1.0.0").Image
	registry := "docker://" + host + "/kata/payload:v1"
	for want, test := range map[string]struct {
		to   string
		with transport.Signing
	}{
		"decryption failed: it has to be a private key":         {registry, transport.Signing{KeyFile: key.KeyFile}},
		"unsupported pem type":                                  {registry, transport.Signing{KeyFile: public}},
		"signing with /nowhere: reading private key":            {registry, transport.Signing{KeyFile: "/nowhere"}},
		"reading the passphrase: open /nowhere":                 {registry, transport.Signing{KeyFile: key.KeyFile, PassphraseFile: "/nowhere"}},
		`signing as "a/b": the name has no tag`:                 {registry, transport.Signing{KeyFile: key.KeyFile, PassphraseFile: key.PassphraseFile, Identity: "a/b"}},
		`signing as "A": invalid reference format`:              {registry, transport.Signing{KeyFile: key.KeyFile, PassphraseFile: key.PassphraseFile, Identity: "A"}},
		"only registries hold signatures: push it to docker://": {"oci:" + filepath.Join(t.TempDir(), "layout"), *key},
	} {
		_, err := transport.Push(t.Context(), image, target(t, test.to), signing(t, &test.with))
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n")
	}
}
