// SPDX-License-Identifier: Apache-2.0

package alerts_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestTheServiceMonitorIsOneAndSelectsTheService(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(monitoring, "service.yaml"))
	require.NoError(t, err)
	documents := strings.Split(string(content), "\n---\n")
	require.Len(t, documents, 2)
	var service struct {
		Metadata struct{ Labels map[string]string }
		Spec     struct{ Ports []struct{ Name string } }
	}
	require.NoError(t, yaml.Unmarshal([]byte(documents[0]), &service))
	var monitor monitoringv1.ServiceMonitor
	require.NoError(t, yaml.UnmarshalStrict([]byte(documents[1]), &monitor))
	assert.Equal(t, monitor.Spec.Selector.MatchLabels, service.Metadata.Labels)
	assert.Equal(t, monitor.Spec.Endpoints[0].Port, service.Spec.Ports[0].Name)
}

func TestEveryQueryOfTheDashboardIsRead(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(monitoring, "dashboard.json"))
	require.NoError(t, err)
	var dashboard struct {
		UID    string
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(content, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	queries := parser.NewParser(parser.Options{})
	for _, panel := range dashboard.Panels {
		require.NotEmpty(t, panel.Targets, panel.Title)
		assert.LessOrEqual(t, panel.GridPos.X+panel.GridPos.W, 24, panel.Title)
		for _, target := range panel.Targets {
			// Grafana replaces its variables before it asks.
			_, err := queries.ParseExpr(strings.NewReplacer("$__rate_interval", "5m", "$kataconfig", ".*").Replace(target.Expr))
			assert.NoError(t, err, panel.Title)
		}
	}
}
