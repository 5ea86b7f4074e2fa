// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

func TestTheProcessDescribesItself(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, describe(registry))
	families, err := registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems)
	names := map[string]string{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				names[family.GetName()] = label.GetValue()
			}
		}
	}
	assert.Equal(t, version, names["kata_controller_build_info"])
}
