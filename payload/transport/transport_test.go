// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/transport"
)

const (
	shim   = "usr/bin/containerd-shim-kata-v2"
	config = "usr/share/configuration.toml"
)

// payload builds the smallest payload of a version.
func payload(t *testing.T, version string) assemble.Payload {
	t.Helper()
	return payloadFor(t, version, "amd64")
}

func payloadFor(t *testing.T, version, architecture string) assemble.Payload {
	t.Helper()
	return payloadOf(t, version, architecture, assemble.Gzip)
}

func payloadOf(t *testing.T, version, architecture string, compression assemble.Compression) assemble.Payload {
	t.Helper()
	tree := t.TempDir()
	for path, mode := range map[string]os.FileMode{shim: 0o755, config: 0o644} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(tree, path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(tree, path), []byte(version+architecture), mode))
	}
	p, err := assemble.Build(t.Context(), assemble.Input{Tree: tree, WorkDir: t.TempDir(), Compression: compression, Description: assemble.Description{
		Name: "kata-test", Version: version, Architecture: architecture, ShimCompatibility: "test-1",
		Handlers:   []assemble.Handler{{Name: "kata-oc", Type: "vm", Shim: shim, Config: config, Dialect: "go"}},
		Components: []assemble.Component{{Name: "all"}},
	}})
	require.NoError(t, err)
	return p
}

func target(t *testing.T, text string) transport.Target {
	t.Helper()
	parsed, err := transport.ParseTarget(text)
	require.NoError(t, err)
	return parsed
}

// options reach registries on this machine, with temporary files that the test sees.
func options(t *testing.T) transport.Options {
	t.Helper()
	o := transport.Options{SkipTLSVerify: true, WorkDir: t.TempDir(), Root: t.TempDir()}
	t.Cleanup(func() {
		left, err := os.ReadDir(o.WorkDir)
		require.NoError(t, err)
		assert.Empty(t, left, "temporary files")
	})
	return o
}

func openTarget(t *testing.T, at transport.Target) *transport.Opened {
	t.Helper()
	opened, err := transport.Open(t.Context(), at, options(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened
}

// serve returns the host of a registry behind a filter, which answers a request itself when it
// returns true.
func serve(t *testing.T, start func(http.Handler) *httptest.Server, filter func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filter == nil || !filter(w, r) {
			store.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	_, host, _ := strings.Cut(server.URL, "://")
	return host
}

func TestARegistryHasWhatWasPushed(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	p := payload(t, "1.0.0")
	to := target(t, "docker://"+host+"/kata/payload:v1")
	blobs := map[string]transport.Progress{}
	o := options(t)
	o.Progress = func(p transport.Progress) { blobs[p.Blob] = p }
	got, err := transport.Push(t.Context(), p.Image, to, o)
	require.NoError(t, err)
	assert.Equal(t, transport.Published{Name: host + "/kata/payload@" + p.Digest, Digest: p.Digest}, got)
	assert.Len(t, blobs, len(p.Layers)+1, "the layers and the configuration")
	for _, blob := range blobs {
		assert.True(t, blob.Finished)
		assert.Equal(t, blob.Total, blob.Done)
	}
	for _, name := range []string{to.String(), "docker://" + got.Name} {
		sameManifest(t, p, target(t, name))
	}
}

func sameManifest(t *testing.T, p assemble.Payload, at transport.Target) {
	t.Helper()
	opened := openTarget(t, at)
	require.Len(t, opened.Images, 1)
	image := opened.Images[0]
	require.NoError(t, validate.Image(image))
	assert.Equal(t, p.Digest, opened.Digest)
	digest, err := image.Digest()
	require.NoError(t, err)
	assert.Equal(t, p.Digest, digest.String())
	m, document, err := transport.Manifest(image)
	require.NoError(t, err)
	assert.Equal(t, p.Manifest.Files, m.Files)
	want, err := manifest.Encode(p.Manifest)
	require.NoError(t, err)
	assert.Equal(t, want, document)
}

func TestCredentialsComeFromTheFile(t *testing.T) {
	t.Parallel()
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte("somebody:secret"))
	host := serve(t, httptest.NewServer, demand(login))
	to := target(t, "docker://"+host+"/kata/team/payload:v1")
	image := payload(t, "1.0.0").Image
	for _, scope := range []string{host + "/kata/team/payload", host + "/kata", host, "https://" + host, "https://" + host + "/v1/", "http://" + host} {
		_, err := transport.Push(t.Context(), image, to, with(options(t), authFile(t, scope)))
		require.NoError(t, err, scope)
	}
	_, err := transport.Push(t.Context(), image, to, with(options(t), authFile(t, host+"/elsewhere")))
	require.ErrorContains(t, err, "publishing to "+to.String()+": ")
	require.ErrorContains(t, err, "run podman login "+host+" with an account that may do this")
	assert.NotContains(t, err.Error(), "secret")
	_, err = transport.Push(t.Context(), image, to, with(options(t), "/nowhere"))
	require.ErrorContains(t, err, "reading credentials from /nowhere: ")
}

func with(o transport.Options, authFile string) transport.Options {
	o.AuthFile = authFile
	return o
}

func authFile(t *testing.T, scope string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "auth.json")
	text := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, scope, base64.StdEncoding.EncodeToString([]byte("somebody:secret")))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestPublishingStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	host := serve(t, httptest.NewServer, nil)
	image := payload(t, "1.0.0").Image
	for _, to := range []string{"docker://" + host + "/kata/payload", "oci:" + filepath.Join(t.TempDir(), "layout")} {
		_, err := transport.Push(ctx, image, target(t, to), options(t))
		assert.ErrorIs(t, err, context.Canceled, to)
	}
}

func TestAnImageThatIsNoPayloadHasNoManifest(t *testing.T) {
	t.Parallel()
	image, err := random.Image(100, 1)
	require.NoError(t, err)
	_, _, err = transport.Manifest(image)
	assert.ErrorContains(t, err, "has no label io.kata-node.payload.manifest: it is no payload")
}
