// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/transport"
)

// front stands between a node and a registry that works. The node takes it for the registry.
type front struct {
	t *testing.T
	n node
	s *source
	p assemble.Payload
	// name is the payload's, as the node pulls it.
	name   string
	server *httptest.Server

	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request, to http.Handler)
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{t: t, s: newSource(t)}
	f.n = newNode(t, f.s)
	f.p, f.name = f.s.publish(t, "1.0.0")
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	f.works()
	return f
}

// works ends every fault: the node reaches the registry through the front, which changes nothing.
func (f *front) works() {
	f.t.Helper()
	f.answer(nil)
	f.n.mirror(f.t, f.address())
}

// answer makes the front answer in the registry's place.
func (f *front) answer(fault func(w http.ResponseWriter, r *http.Request, to http.Handler)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		f.s.server.Config.Handler.ServeHTTP(w, r)
		return
	}
	fault(w, r, f.s.server.Config.Handler)
}

// at makes requests for a part of the payload fail: its manifest, its configuration or a layer.
func (f *front) at(part string, fault http.HandlerFunc) {
	f.answer(func(w http.ResponseWriter, r *http.Request, to http.Handler) {
		if f.part(part, r) {
			fault(w, r)
			return
		}
		to.ServeHTTP(w, r)
	})
}

func (f *front) part(part string, r *http.Request) bool {
	switch part {
	case "manifest":
		return strings.Contains(r.URL.Path, "/manifests/sha256:")
	case "config":
		config, err := f.p.Image.ConfigName()
		return err == nil && path.Base(r.URL.Path) == config.String()
	default:
		return slices.ContainsFunc(f.p.Layers, func(l assemble.Layer) bool { return path.Base(r.URL.Path) == l.Digest })
	}
}

// status makes a front that answers every request for a part with a status.
func status(part string, code int, headers ...string) func(*front) {
	return func(f *front) {
		f.at(part, func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			http.Error(w, http.StatusText(code), code)
		})
	}
}

// serves makes a front that has other bytes than the registry.
func serves(part string, change func(blob []byte) []byte) func(*front) {
	return func(f *front) {
		f.answer(func(w http.ResponseWriter, r *http.Request, to http.Handler) {
			if !f.part(part, r) {
				to.ServeHTTP(w, r)
				return
			}
			whole := r.Clone(r.Context())
			whole.Header.Del("Range")
			answer := httptest.NewRecorder()
			to.ServeHTTP(answer, whole)
			content := change(answer.Body.Bytes())
			w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
		})
	}
}

func (f *front) address() string { return f.server.Listener.Addr().String() }

func (f *front) registries(content string, values ...any) {
	f.t.Helper()
	f.n.put(f.t, "/etc/containers/registries.conf", fmt.Sprintf("[[registry]]\nprefix = 'registry.kata.test'\n"+content, values...))
}

// tls makes the front serve TLS with a certificate of an authority of its own, which becomes known
// to the node where ca is the name of a file for it, with a place for the address.
func (f *front) tls(until time.Time, ca string) (address string) {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f.t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	require.NoError(f.t, err)
	server := httptest.NewUnstartedServer(f)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	f.t.Cleanup(server.Close)
	address = server.Listener.Addr().String()
	if ca != "" {
		f.n.put(f.t, fmt.Sprintf(ca, address), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
	}
	f.registries("location = '%s'\n", address)
	return address
}

func (f *front) pull() error {
	return f.n.store.Pull(f.t.Context(), f.name, func(host.Progress) {})
}

// sign signs the payload as the node knows it.
func (f *front) sign(with *transport.Signing) {
	f.t.Helper()
	target, err := transport.ParseTarget("docker://" + f.s.address() + "/kata/payload:v1")
	require.NoError(f.t, err)
	_, err = transport.Push(f.t.Context(), f.p.Image, target, transport.Options{SkipTLSVerify: true, Signing: with})
	require.NoError(f.t, err)
}

// gzipped publishes the payload once more, with layers that are compressed with gzip.
func (f *front) gzipped() {
	f.t.Helper()
	config, err := f.p.Image.ConfigFile()
	require.NoError(f.t, err)
	config = config.DeepCopy()
	config.RootFS, config.History = v1.RootFS{Type: "layers"}, nil
	image, err := mutate.ConfigFile(empty.Image, config)
	require.NoError(f.t, err)
	layers, err := f.p.Image.Layers()
	require.NoError(f.t, err)
	f.p.Layers = nil
	for _, l := range layers {
		again, err := tarball.LayerFromOpener(l.Uncompressed)
		require.NoError(f.t, err)
		image, err = mutate.AppendLayers(image, again)
		require.NoError(f.t, err)
		digest, err := again.Digest()
		require.NoError(f.t, err)
		f.p.Layers = append(f.p.Layers, assemble.Layer{Digest: digest.String()})
	}
	at, err := name.NewTag(f.s.address()+"/kata/payload:gzip", name.Insecure)
	require.NoError(f.t, err)
	require.NoError(f.t, remote.Write(at, image, remote.WithContext(f.t.Context())))
	digest, err := image.Digest()
	require.NoError(f.t, err)
	f.p.Image, f.name = image, repository+"@"+digest.String()
}
