// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"net/http"
	"strings"
)

// Match picks requests to a registry.
type Match func(*http.Request) bool

// Anything matches every request.
func Anything(*http.Request) bool { return true }

// Blobs matches downloads of layers and configurations.
func Blobs(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256:")
}

// Manifests matches downloads of manifests and indexes.
func Manifests(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/")
}

// Digest matches requests for one digest, such as "sha256:ab…", whatever it is the digest of.
func Digest(digest string) Match {
	return func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/"+digest) }
}
