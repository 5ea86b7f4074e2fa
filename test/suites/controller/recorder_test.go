// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// request is one call of the controller to the API server; status is 0 until it is answered.
type request struct {
	method string
	url    url.URL
	status int
}

// recorder remembers every request of the controller.
type recorder struct {
	registry *prometheus.Registry
	// lag is how late each piece of a watch on nodes arrives.
	lag time.Duration

	mu   sync.Mutex
	seen []request
}

// passes is how often the controller has looked at the cluster.
func (r *recorder) passes(t *testing.T) int {
	t.Helper()
	families, err := r.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "kata_controller_passes_total" {
			return int(family.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return 0
}

// wrap records a request before it is sent: what it changed is never seen earlier than the request.
func (r *recorder) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(q *http.Request) (*http.Response, error) {
		sent := r.add(request{method: q.Method, url: *q.URL})
		response, err := next.RoundTrip(q)
		if err != nil {
			return response, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen[sent].status = response.StatusCode
		if r.lag > 0 && strings.HasSuffix(q.URL.Path, "/nodes") && q.URL.Query().Get("watch") != "" {
			response.Body = late{response.Body, r.lag}
		}
		return response, nil
	})
}

// add returns the place of a request among all.
func (r *recorder) add(q request) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, q)
	return len(r.seen) - 1
}

// late is a body whose reader hears of everything some time after it was sent.
type late struct {
	io.ReadCloser
	lag time.Duration
}

func (l late) Read(into []byte) (int, error) {
	n, err := l.ReadCloser.Read(into)
	<-time.After(l.lag)
	return n, err
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func (r *recorder) all() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// forbidden lists what the API server refused for want of a right.
func (r *recorder) forbidden() []string {
	var out []string
	for _, q := range r.all() {
		if q.status == http.StatusForbidden {
			out = append(out, q.method+" "+q.url.String())
		}
	}
	return out
}

// writes lists every request that changes something, the lease of the leader excepted.
func (r *recorder) writes() []string {
	var out []string
	for _, q := range r.all() {
		if q.method != http.MethodGet && !strings.Contains(q.url.Path, "/leases") {
			out = append(out, q.method+" "+q.url.Path)
		}
	}
	return out
}

// nodeWrites counts the patches of one Node.
func (r *recorder) nodeWrites(name string) int {
	count := 0
	for _, w := range r.writes() {
		if w == "PATCH /api/v1/nodes/"+name {
			count++
		}
	}
	return count
}

// rights is every verb and resource that was used, as RBAC names them. Discovery is none: every
// account may ask what an API server serves.
func (r *recorder) rights() map[string]bool {
	out := map[string]bool{}
	for _, q := range r.all() {
		group, resource, named := parse(q.url.Path)
		if resource == "" {
			continue
		}
		out[verb(q, named)+" "+group+"/"+resource] = true
	}
	return out
}

// parse takes an API path apart: its group, its resource with subresource, and whether it names one
// object. The path of a group's version has no resource.
func parse(path string) (group, resource string, named bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] == "api" {
		parts = parts[2:]
	} else {
		group, parts = parts[1], parts[3:]
	}
	if len(parts) == 0 {
		return group, "", false
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	resource, named = parts[0], len(parts) > 1
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	return group, resource, named
}

func verb(q request, named bool) string {
	switch q.method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	}
	switch {
	case q.url.Query().Get("watch") != "":
		return "watch"
	case named:
		return "get"
	default:
		return "list"
	}
}
