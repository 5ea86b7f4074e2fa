// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/controller/apply"
)

type answers func(*http.Request) (*http.Response, error)

func (a answers) RoundTrip(q *http.Request) (*http.Response, error) { return a(q) }

func TestNothingIsWrittenAfterTheLeaseMayHavePassed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	fence := &apply.Fence{Limit: time.Minute, Now: func() time.Time { return now }}
	var sent []string
	through := fence.Wrap(answers(func(q *http.Request) (*http.Response, error) {
		sent = append(sent, q.Method)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	write := func() error {
		var err error
		for _, method := range []string{http.MethodPatch, http.MethodPut, http.MethodPost, http.MethodDelete} {
			response, refused := through.RoundTrip(httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader("x")))
			err = refused
			if refused == nil {
				require.NoError(t, response.Body.Close())
			}
		}
		return err
	}
	require.ErrorContains(t, write(), "does not hold")
	fence.Renewed(now)
	now = now.Add(time.Minute)
	require.NoError(t, write())
	now = now.Add(time.Second)
	require.ErrorContains(t, write(), "last renewed 1m1s ago, which is more than 1m0s")
	response, err := through.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	require.NoError(t, err, "reads are not fenced")
	require.NoError(t, response.Body.Close())
	fence.Renewed(now)
	require.NoError(t, write())
	fence.Renewed(time.Time{})
	require.Error(t, write())
	assert.Len(t, sent, 4+1+4)
}
