// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/controller"
)

func TestAProbeAnswersWithTheReason(t *testing.T) {
	t.Parallel()
	var health controller.Health
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		verdict(health.Ready)(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
		return w
	}
	assert.Equal(t, http.StatusOK, ask().Code)
	health.Leads(time.Now())
	w := ask()
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Contains(t, w.Body.String(), "the caches are not filled yet")
}
