// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// direct is an environment without a proxy.
func direct(*http.Request) (*url.URL, error) { return nil, nil }

func TestALimitedPullIsStillOneInParts(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	var paced atomic.Int64
	n.store.Bandwidth = 1
	n.store.Behind(direct, &paced)
	first, second, p := s.twoVersions(t)
	n.pull(t, first)
	assert.Greater(t, paced.Swap(0), s.wire.Swap(0), "all that came, with the heads of the answers")
	n.pull(t, second)
	assert.Less(t, s.wire.Load(), int64(200_000))
	assert.Greater(t, paced.Load(), s.wire.Load())
	assert.Len(t, n.copies(t, shim), 1)
	for _, image := range n.list(t) {
		if image.Version == "1.0.0" {
			require.NoError(t, n.store.Delete(t.Context(), image.ID))
		}
	}
	assert.NoError(t, mounted(t, n, p.Manifest))
}

func TestALimitedPullTrustsWhomAnyPullTrusts(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	var paced atomic.Int64
	f.n.store.Bandwidth = 1
	f.n.store.Behind(direct, &paced)
	f.tls(time.Now().Add(time.Hour), "")
	require.ErrorContains(t, f.pull(), "x509: ")
	f.tls(time.Now().Add(time.Hour), "/etc/containers/certs.d/%s/ca.crt")
	require.NoError(t, f.pull())
	assert.Greater(t, paced.Load(), f.s.wire.Load())
	assert.NoError(t, mounted(t, f.n, f.p.Manifest))
}

func TestALimitedPullSaysWhyARegistryIsNotReached(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	f.n.store.Bandwidth = 1
	f.n.store.Behind(direct, new(atomic.Int64))
	for _, registry := range []string{"location = '%s'\n", "location = '%s'\ninsecure = true\n"} {
		f.registries(registry, dead)
		err := f.pull()
		require.ErrorContains(t, err, "dial tcp "+dead+": connect: connection refused")
		var fault *host.Fault
		require.ErrorAs(t, err, &fault)
		assert.Contains(t, fault.Remedy, "whether the registry runs")
	}
	f.works()
	require.NoError(t, f.pull())
}

// hostProxy is a proxy as a host's environment names it.
type hostProxy struct {
	mu    sync.Mutex
	asked []string
}

func (h *hostProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, password, _ := credentials(r); name != "user" || password != "secret" {
		http.Error(w, "who are you", http.StatusProxyAuthRequired)
		return
	}
	h.mu.Lock()
	h.asked = append(h.asked, r.Method+" "+r.Host)
	h.mu.Unlock()
	registry, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer registry.Close() //nolint:errcheck // Nothing more comes.
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close() //nolint:errcheck // As above.
	if r.Method == http.MethodConnect {
		_, err = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	} else {
		r.Header.Set("Connection", "close")
		err = r.Write(registry)
	}
	if err == nil {
		go func() { _, _ = io.Copy(registry, client) }() //nolint:errcheck // It ends with either connection.
		_, _ = io.Copy(client, registry)                 //nolint:errcheck // As above.
	}
}

// credentials are those that a request has for a proxy.
func credentials(r *http.Request) (name, password string, ok bool) {
	r = &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	return r.BasicAuth()
}

func TestALimitedPullUsesTheHostsProxyAndItsExceptions(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	var behind hostProxy
	server := httptest.NewServer(&behind)
	t.Cleanup(server.Close)
	via, err := url.Parse(fmt.Sprintf("http://user:secret@%s", server.Listener.Addr()))
	require.NoError(t, err)
	except := ""
	var paced atomic.Int64
	f.n.store.Bandwidth = 1
	f.n.store.Behind(func(r *http.Request) (*url.URL, error) {
		if r.URL.Host == except {
			return direct(r)
		}
		return via, nil
	}, &paced)

	require.NoError(t, f.pull())
	assert.Contains(t, behind.asked, "GET "+f.address())
	assert.Greater(t, paced.Load(), f.s.wire.Load())
	require.NoError(t, f.n.store.Destroy(t.Context()))

	behind.asked = nil
	address := f.tls(time.Now().Add(time.Hour), "/etc/containers/certs.d/%s/ca.crt")
	require.NoError(t, f.pull())
	assert.Contains(t, behind.asked, "CONNECT "+address)
	require.NoError(t, f.n.store.Destroy(t.Context()))

	behind.asked, except = nil, address
	require.NoError(t, f.pull())
	assert.Empty(t, behind.asked)

	except, via.User = "", nil
	require.NoError(t, f.n.store.Destroy(t.Context()))
	require.ErrorContains(t, f.pull(), "407 Proxy Authentication Required")
}
