// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/transport"
)

// put writes a file of the host's configuration.
func put(t *testing.T, o transport.Options, path, content string) {
	t.Helper()
	file := filepath.Join(o.Root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
}

func registriesConf(t *testing.T, o transport.Options, format string, args ...any) {
	t.Helper()
	put(t, o, "/etc/containers/registries.conf", fmt.Sprintf(format, args...))
}

func TestRegistriesConfDecidesWhereNoFlagDoes(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	p := payload(t, "1.0.0")
	o := options(t)
	o.SkipTLSVerify = false
	to := target(t, "docker://"+host+"/kata/payload:v1")
	_, err := transport.Push(t.Context(), p.Image, to, o)
	require.ErrorContains(t, err, "use --tls-verify=false, or insecure = true in registries.conf")

	o = options(t)
	o.SkipTLSVerify = false
	registriesConf(t, o, "[[registry]]\nlocation = '%s'\ninsecure = true\n", host)
	_, err = transport.Push(t.Context(), p.Image, to, o)
	require.NoError(t, err)
	o.DemandTLS = true
	_, err = transport.Push(t.Context(), p.Image, to, o)
	require.ErrorContains(t, err, "server gave HTTP response to HTTPS client")
}

// As with skopeo, locations and mirrors are for reading: an image is pushed to where it is named.
func TestAnImageIsReadFromWhereRegistriesConfSays(t *testing.T) {
	t.Parallel()
	host := serve(t, httptest.NewServer, nil)
	p := payload(t, "1.0.0")
	push(t, p, "docker://"+host+"/kata/payload:v1")
	o := options(t)
	o.SkipTLSVerify = false
	registriesConf(t, o, "[[registry]]\nprefix = 'registry.example'\nlocation = '%s/kata'\ninsecure = true\n", host)
	opened, err := transport.Open(t.Context(), target(t, "docker://registry.example/payload:v1"), o)
	require.NoError(t, err)
	assert.Equal(t, "registry.example/payload@"+p.Digest, opened.Name)
	require.NoError(t, opened.Close())
}

func TestABlockedRegistryIsNamed(t *testing.T) {
	t.Parallel()
	o := options(t)
	registriesConf(t, o, "[[registry]]\nlocation = 'registry.example'\nblocked = true\n")
	_, err := transport.Push(t.Context(), payload(t, "1.0.0").Image, target(t, "docker://registry.example/payload:v1"), o)
	require.ErrorContains(t, err, "publishing to docker://registry.example/payload:v1: ")
	require.ErrorContains(t, err, "registry registry.example is blocked")
}

func TestAnAuthoritysCertificateComesFromCertsD(t *testing.T) {
	t.Parallel()
	var certificate []byte
	host := serve(t, func(h http.Handler) *httptest.Server {
		server := httptest.NewTLSServer(h)
		certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		return server
	}, nil)
	to := target(t, "docker://"+host+"/kata/payload:v1")
	image := payload(t, "1.0.0").Image
	o := options(t)
	o.SkipTLSVerify = false
	_, err := transport.Push(t.Context(), image, to, o)
	require.ErrorContains(t, err, "put the certificate of its authority into /etc/containers/certs.d/"+host+"/ca.crt, or use --tls-verify=false")
	put(t, o, "/etc/containers/certs.d/"+host+"/ca.crt", string(certificate))
	_, err = transport.Push(t.Context(), image, to, o)
	require.NoError(t, err)
	_, err = transport.Push(t.Context(), image, to, options(t))
	require.NoError(t, err, "or anything is accepted")
}

// A helper is a program docker-credential-NAME that prints a login.
func TestCredentialsComeFromAHelper(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	program := "#!/bin/sh\necho '{\"Username\": \"somebody\", \"Secret\": \"secret\"}'\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker-credential-test"), []byte(program), 0o755))
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte("somebody:secret"))
	host := serve(t, httptest.NewServer, demand(login))
	o := options(t)
	o.AuthFile = filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(o.AuthFile, fmt.Appendf(nil, `{"credHelpers": {%q: "test"}}`, host), 0o600))
	_, err := transport.Push(t.Context(), payload(t, "1.0.0").Image, target(t, "docker://"+host+"/kata/payload:v1"), o)
	require.NoError(t, err)
}

// demand answers requests without a login.
func demand(login string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == login {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}
