// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Registry passes requests on to a registry, except those for which a fault was ordered. Faults
// apply in the order in which they were.
type Registry struct {
	server *http.Server
	addr   string
	honest http.Handler
	lying  http.Handler
	served atomic.Int64

	mu       sync.Mutex
	faults   []*fault
	requests []string
}

// fault is one order of a test.
type fault struct {
	match   Match
	stall   *Stall
	status  int
	corrupt bool
}

// NewRegistry starts a proxy on listener for the registry at target, a host:port that speaks plain
// HTTP. The listener ends with it.
func NewRegistry(listener net.Listener, target string) *Registry {
	upstream := &url.URL{Scheme: "http", Host: target}
	rewrite := func(r *httputil.ProxyRequest) {
		r.SetURL(upstream)
		r.Out.Host = r.In.Host // Upload locations shall lead back through this proxy.
	}
	r := &Registry{addr: listener.Addr().String()}
	r.honest = &httputil.ReverseProxy{Rewrite: rewrite, ErrorHandler: badGateway, ModifyResponse: r.count}
	r.lying = &httputil.ReverseProxy{Rewrite: rewrite, ErrorHandler: badGateway, ModifyResponse: flipOneBit}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go r.server.Serve(listener) //nolint:errcheck // It ends with Close.
	return r
}

// Address is the host:port that clients connect to.
func (r *Registry) Address() string { return r.addr }

// Close ends the proxy and every request through it.
func (r *Registry) Close() error { return r.server.Close() }

// Refuse answers matching requests with an HTTP status until undo is called.
func (r *Registry) Refuse(match Match, status int) (undo func()) {
	return r.order(&fault{match: match, status: status})
}

// Corrupt changes one bit in the middle of each matching answer until undo is called.
func (r *Registry) Corrupt(match Match) (undo func()) {
	return r.order(&fault{match: match, corrupt: true})
}

// Requests lists every request so far, as "GET /v2/…", also those that were refused or still hang.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Served is how many bytes of bodies the registry's own answers had so far.
func (r *Registry) Served() int64 { return r.served.Load() }

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	handler := r.honest
	for _, f := range r.record(request) {
		switch {
		case f.stall != nil && !f.stall.hold(request.Context()):
			return
		case f.status != 0:
			http.Error(w, "refused by the test", f.status)
			return
		case f.corrupt:
			handler = r.lying
		}
	}
	handler.ServeHTTP(w, request)
}

// record notes the request and returns the faults that apply to it.
func (r *Registry) record(request *http.Request) []*fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request.Method+" "+request.URL.Path)
	var apply []*fault
	for _, f := range r.faults {
		if f.match(request) {
			apply = append(apply, f)
		}
	}
	return apply
}

func (r *Registry) order(f *fault) (undo func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, f)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.faults = slices.DeleteFunc(r.faults, func(other *fault) bool { return other == f })
	}
}

func (r *Registry) count(response *http.Response) error {
	response.Body = &counted{response.Body, &r.served}
	return nil
}

// counted adds up what is read.
type counted struct {
	io.ReadCloser

	sum *atomic.Int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sum.Add(int64(n))
	return n, err
}

// flipOneBit leaves length and digest headers as they are: the answer lies about its content only.
func flipOneBit(response *http.Response) error {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func badGateway(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, err.Error(), http.StatusBadGateway)
}
