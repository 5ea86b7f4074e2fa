// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
)

// AuthFile is where the next pull takes its credentials from.
func (s *Store) AuthFile() string { return s.source().AuthFilePath }

// Behind makes the environment name proxies, and counts the bytes that a limit was asked for.
func (s *Store) Behind(environment func(*http.Request) (*url.URL, error), bytes *atomic.Int64) {
	s.environment = environment
	s.pace = func(int64) func(context.Context, int) error {
		return func(_ context.Context, n int) error { bytes.Add(int64(n)); return nil }
	}
}
