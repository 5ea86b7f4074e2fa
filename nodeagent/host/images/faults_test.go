// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// dead is an address where nothing listens.
const dead = "127.0.0.1:1"

// fault is one way of a registry to fail.
type fault struct {
	begin func(*front)
	// says is what the error has, next to the payload's name, and kind how it is tried again.
	// Without them the pull succeeds all the same.
	says []string
	kind host.FaultKind
	// end is what ends the fault, besides that the front works again.
	end func(*front)
}

func statusFaults() map[string]fault {
	return map[string]fault{
		"401":                       {begin: status("manifest", http.StatusUnauthorized), says: []string{"needs an account that may read it"}, kind: host.Lasting},
		"403":                       {begin: status("manifest", http.StatusForbidden), says: []string{"StatusCode: 403", "needs an account that may read it"}, kind: host.Lasting},
		"404":                       {begin: status("manifest", http.StatusNotFound), says: []string{"StatusCode: 404", "name a payload that is there"}, kind: host.Lasting},
		"429 that says when":        {begin: status("manifest", http.StatusTooManyRequests, "Retry-After", "0"), says: []string{"StatusCode: 429", "limits how often it is asked"}, kind: host.Throttled},
		"429 once without a time":   {begin: onceTooMany},
		"500":                       {begin: status("layer", http.StatusInternalServerError), says: []string{"500 Internal", "the fault is with the registry"}, kind: host.Passing},
		"502":                       {begin: status("config", http.StatusBadGateway), says: []string{"502 Bad Gateway", "the fault is with the registry"}, kind: host.Passing},
		"503":                       {begin: status("manifest", http.StatusServiceUnavailable), says: []string{"503 Service", "the fault is with the registry"}, kind: host.Passing},
		"404 of a layer":            {begin: status("layer", http.StatusNotFound), says: []string{"StatusCode: 404", "push it there"}, kind: host.Lasting},
		"redirected to a dead host": {begin: status("layer", http.StatusTemporaryRedirect, "Location", "http://"+dead+"/blob"), says: []string{"connection refused", "may connect to it"}, kind: host.Passing},
	}
}

func contentFaults() map[string]fault {
	flip := func(blob []byte) []byte { blob[len(blob)/2] ^= 1; return blob }
	return map[string]fault{
		"another manifest":             {begin: serves("manifest", func(blob []byte) []byte { return append(blob, ' ') }), says: []string{"sends something else than what was pushed"}, kind: host.Passing},
		"another configuration":        {begin: serves("config", flip), says: []string{"sends something else than what was pushed"}, kind: host.Passing},
		"another layer":                {begin: serves("layer", flip), says: []string{"sends something else than what was pushed"}, kind: host.Passing},
		"more than the layer in parts": {begin: serves("layer", twice)},
		"more than the layer": {begin: func(f *front) {
			f.gzipped()
			serves("layer", twice)(f)
		}, says: []string{"sends something else than what was pushed"}, kind: host.Passing},
		"half of zstd": {begin: serves("layer", half), says: []string{"sends something else than what was pushed"}, kind: host.Passing},
		"half of gzip": {begin: func(f *front) {
			f.gzipped()
			serves("layer", half)(f)
		}, says: []string{"sends something else than what was pushed"}, kind: host.Passing},
		"no ranges": {begin: ranges(func(*http.Request) string { return "" })},
		"one range only": {begin: ranges(func(r *http.Request) string {
			first, _, _ := strings.Cut(r.Header.Get("Range"), ",")
			return first
		})},
		"wrong ranges": {begin: func(f *front) {
			f.answer(func(w http.ResponseWriter, r *http.Request, to http.Handler) {
				answer := httptest.NewRecorder()
				to.ServeHTTP(answer, r)
				maps.Copy(w.Header(), answer.Header())
				if body := answer.Body.Bytes(); r.Header.Get("Range") != "" {
					slices.Reverse(body[len(body)/3 : len(body)/2])
				}
				w.WriteHeader(answer.Code)
				_, err := w.Write(answer.Body.Bytes())
				assert.NoError(f.t, err)
			})
		}},
	}
}

func connectionFaults() map[string]fault {
	return map[string]fault{
		"connection refused": {begin: func(f *front) { f.n.mirror(f.t, dead) }, says: []string{"connection refused", "whether the registry runs"}, kind: host.Passing},
		"reset in the middle": {begin: func(f *front) {
			f.at("layer", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100000")
				_, err := w.Write(make([]byte, 5000))
				assert.NoError(f.t, err)
				assert.NoError(f.t, http.NewResponseController(w).Flush())
				panic(http.ErrAbortHandler)
			})
		}, says: []string{"unexpected EOF", "the proxies on the way to it answer"}, kind: host.Passing},
		"slow": {begin: func(f *front) {
			f.answer(func(w http.ResponseWriter, r *http.Request, to http.Handler) { to.ServeHTTP(drop{w}, r) })
		}},
		"silent": {begin: func(f *front) {
			f.n.store.Stall = time.Second
			f.at("layer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, end: func(f *front) { f.n.store.Stall = time.Minute }, says: []string{"no progress for 1s", "the proxies on the way to it answer"}, kind: host.Passing},
		"no such name": {begin: func(f *front) { f.n.mirror(f.t, strings.Repeat("a", 64)+".kata.test") }, says: []string{"no such host", "resolves its name"}, kind: host.Passing},
		"mirror down": {begin: func(f *front) {
			f.registries("location = '%s'\ninsecure = true\n[[registry.mirror]]\nlocation = '%s'\ninsecure = true\n", f.address(), dead)
		}},
		"mirror without the layers": {begin: func(f *front) {
			f.registries("location = '%s'\ninsecure = true\n[[registry.mirror]]\nlocation = '%s'\ninsecure = true\n", f.s.address(), f.address())
			status("layer", http.StatusBadGateway)(f)
		}},
		"mirror and registry down": {begin: func(f *front) {
			f.registries("location = '%s'\ninsecure = true\n[[registry.mirror]]\nlocation = '%s'\ninsecure = true\n", "127.0.0.1:2", dead)
		}, says: []string{"connection refused", "whether the registry runs"}, kind: host.Passing},
	}
}

func twice(blob []byte) []byte { return append(blob, blob...) }

func half(blob []byte) []byte { return blob[:len(blob)/2] }

// onceTooMany answers the first request for the manifest with 429.
func onceTooMany(f *front) {
	done := false
	f.answer(func(w http.ResponseWriter, r *http.Request, to http.Handler) {
		if !done && f.part("manifest", r) {
			done = true
			http.Error(w, "later", http.StatusTooManyRequests)
			return
		}
		to.ServeHTTP(w, r)
	})
}

// ranges makes the registry see other ranges than it is asked for.
func ranges(change func(r *http.Request) string) func(*front) {
	return func(f *front) {
		f.answer(func(w http.ResponseWriter, r *http.Request, to http.Handler) {
			if changed := change(r); changed != "" {
				r.Header.Set("Range", changed)
			} else {
				r.Header.Del("Range")
			}
			to.ServeHTTP(w, r)
		})
	}
}

// drop sends what it gets in small drops.
type drop struct{ http.ResponseWriter }

func (d drop) Write(p []byte) (n int, err error) {
	for part := range slices.Chunk(p, 100) {
		m, err := d.ResponseWriter.Write(part)
		n += m
		if err != nil {
			return n, err
		}
		if err := http.NewResponseController(d.ResponseWriter).Flush(); err != nil {
			return n, err
		}
	}
	return n, nil
}

func trustFaults() map[string]fault {
	const public = "/etc/pki/containers/kata.pub"
	return map[string]fault{
		"unknown authority": {
			begin: func(f *front) { f.tls(time.Now().Add(time.Hour), "") },
			says:  []string{"x509: ", "put that of its authority into /etc/containers/certs.d"}, kind: host.Lasting,
		},
		"expired certificate": {
			begin: func(f *front) { f.tls(time.Now().Add(-time.Hour), "/etc/containers/certs.d/%s/ca.crt") },
			says:  []string{"x509: certificate has expired", "a certificate that this host trusts"}, kind: host.Lasting,
		},
		"no TLS": {
			begin: func(f *front) { f.registries("location = '%s'\n", f.address()) },
			says:  []string{"server gave HTTP response to HTTPS client", "set insecure = true"}, kind: host.Lasting,
		},
		"unsigned": {
			begin: func(f *front) { f.n.trust(f.t, public); f.n.key(f.t, public) },
			says:  []string{"no signature exists", "this host's signature policy accepts"}, kind: host.Lasting,
			end: func(f *front) { f.sign(f.n.key(f.t, public)) },
		},
		"wrong key": {
			begin: func(f *front) {
				f.n.trust(f.t, public)
				f.n.key(f.t, public)
				f.sign(f.n.key(f.t, "/etc/pki/containers/other.pub"))
			}, says: []string{"cryptographic signature verification failed", "this host's signature policy accepts"}, kind: host.Lasting,
			end: func(f *front) { f.sign(f.n.key(f.t, public)) },
		},
	}
}

// Bytes that were not verified are never an image, and none of them stay.
func TestAFaultOfTheRegistryLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	all := map[string]fault{}
	for _, some := range []map[string]fault{statusFaults(), contentFaults(), connectionFaults(), trustFaults()} {
		maps.Copy(all, some)
	}
	for what, fault := range all {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFront(t)
			fault.begin(f)
			f.fails(fault)
			f.works()
			if fault.end != nil {
				fault.end(f)
			}
			require.NoError(t, f.pull())
			assert.NoError(t, mounted(t, f.n, f.p.Manifest))
		})
	}
}

// fails pulls while there is a fault.
func (f *front) fails(with fault) {
	f.t.Helper()
	err := f.pull()
	require.NoError(f.t, f.n.store.Prune())
	assert.Empty(f.t, f.n.below(f.t, host.StoreDir+"/downloads"))
	assert.Empty(f.t, f.n.below(f.t, host.StoreDir+"/overlay/staging"))
	if with.says == nil {
		require.NoError(f.t, err)
		assert.NoError(f.t, mounted(f.t, f.n, f.p.Manifest))
		return
	}
	require.ErrorContains(f.t, err, `pulling payload "`+f.name+`": `)
	for _, what := range with.says {
		require.ErrorContains(f.t, err, what)
	}
	var found *host.Fault
	require.ErrorAs(f.t, err, &found)
	assert.Equal(f.t, with.kind, found.Kind)
	assert.False(f.t, found.Changed())
	assert.Empty(f.t, f.n.list(f.t), "nothing that could be mounted")
	layers, err := filepath.Glob(filepath.Join(f.n.root, host.StoreDir, "overlay", "*", "diff"))
	require.NoError(f.t, err)
	assert.Empty(f.t, layers)
}
