// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// alert is a rule of deploy/monitoring/alerts.yaml.
type alert struct {
	Alert       string
	Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	content, err := os.ReadFile("../deploy/monitoring/alerts.yaml")
	require.NoError(t, err)
	var object struct {
		Spec struct{ Groups []struct{ Rules []alert } }
	}
	require.NoError(t, yaml.Unmarshal(content, &object))
	require.Len(t, object.Spec.Groups, 1)
	return object.Spec.Groups[0].Rules
}

func TestEveryAlertHasARunbookAndEveryRunbookAnAlert(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(documents(t)["operations.md"], "\n## Alerts\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	var names []string
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
		assert.Equal(t, "https://github.com/kata-node/kata-node/blob/main/docs/operations.md#"+strings.ToLower(a.Alert), a.Annotations["runbook_url"])
	}
	var headings []string
	for _, heading := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(section, -1) {
		headings = append(headings, heading[1])
	}
	assert.Equal(t, names, headings, "in the same order")
}

func TestAlertsAndDashboardUseMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := metrics(t)
	files, err := filepath.Glob("../deploy/monitoring/*")
	require.NoError(t, err)
	used := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range regexp.MustCompile(`kata_controller_[a-z_]+`).FindAllString(string(content), -1) {
			name = strings.TrimSuffix(name, "_bucket")
			assert.Contains(t, known, name, "in %s", file)
			used[name] = true
		}
	}
	for _, name := range known {
		assert.True(t, used[name], "neither an alert nor the dashboard shows %s", name)
	}
}

// Counts and a metric of its own stand for these.
func otherwise() []string {
	return []string{"`NodesFailed`", "`NoPayloadForVersion`", "`CatalogUnreadable`"}
}

func TestEveryFailureOfAKataConfigHasAnAlert(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("../deploy/monitoring/alerts.yaml")
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^\|[^|]+\|[^|]+\|[^|]+\| True \| (.*) \|$`).FindAllStringSubmatch(documents(t)["status.md"], -1)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		for _, reason := range regexp.MustCompile("`[A-Za-z]+`").FindAllString(row[1], -1) {
			if !slices.Contains(otherwise(), reason) {
				assert.Regexp(t, `reason=~?"[A-Za-z|]*\b`+strings.Trim(reason, "`")+`\b`, string(rules), "no alert is for %s", reason)
			}
		}
	}
}
