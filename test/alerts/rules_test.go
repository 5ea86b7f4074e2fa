// SPDX-License-Identifier: Apache-2.0

// Package alerts_test evaluates the rules of deploy/monitoring with Prometheus' own library, as
// promtool test rules does. It is a module of its own: the library needs 700 packages.
package alerts_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// monitoring is where the manifests are.
const monitoring = "../../deploy/monitoring"

// interval is the time between two samples, and between two evaluations.
const interval = time.Minute

// shipped reads the object that is deployed. A key that its type does not have is an error.
func shipped(t *testing.T) monitoringv1.PrometheusRule {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(monitoring, "alerts.yaml"))
	require.NoError(t, err)
	var rule monitoringv1.PrometheusRule
	require.NoError(t, yaml.UnmarshalStrict(content, &rule))
	return rule
}

// ruleFile writes the groups as the operator does for Prometheus.
func ruleFile(t *testing.T) string {
	t.Helper()
	content, err := yaml.Marshal(shipped(t).Spec)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	return file
}

// firing evaluates all rules once a minute on these series, and returns what fires at the end: the
// alerts' labels without their names and severities, and their annotations.
func firing(t *testing.T, series string, until time.Duration) map[string][]rules.Alert {
	t.Helper()
	suite, err := promqltest.NewLazyLoader("load 1m\n"+series, promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, suite.Close()) }()
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    rules.EngineQueryFunc(suite.QueryEngine(), suite.Storage()),
		AppendableV2: suite.Storage(),
		Context:      t.Context(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       promslog.NewNopLogger(),
		Parser:       parser.NewParser(parser.Options{}),
	})
	groups, errs := manager.LoadGroups(interval, labels.EmptyLabels(), "", nil, false, ruleFile(t))
	require.Empty(t, errs)
	for at := time.Unix(0, 0).UTC(); !at.After(time.Unix(0, 0).Add(until)); at = at.Add(interval) {
		suite.WithSamplesTill(at, func(err error) {
			require.NoError(t, err)
			for _, group := range groups {
				group.Eval(suite.Context(), at)
			}
		})
	}
	fired := map[string][]rules.Alert{}
	for _, group := range groups {
		for _, rule := range group.AlertingRules() {
			require.NoError(t, rule.LastError())
			for _, alert := range rule.ActiveAlerts() {
				if alert.State == rules.StateFiring {
					fired[rule.Name()] = append(fired[rule.Name()], *alert)
				}
			}
		}
	}
	return fired
}
