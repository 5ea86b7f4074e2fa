// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
)

// former is a document that the codec of the first revision has written, but for the id of
// installed.json: what the id is computed from has changed since, before there was a release. Files
// are never changed from now on; a release that adds a field adds a document with it.
func former(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "former", name))
	require.NoError(t, err)
	return strings.TrimSpace(string(content))
}

// Another id would make every node of a fleet do its work again when the controller is updated.
func TestIntentsOfFormerControllersAreReadAndKeepTheirIDs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"installed.json", "installed-handlers.json", "installed-ping.json", "absent.json"} {
		document := former(t, name)
		intent, err := node.DecodeIntent(document)
		require.NoError(t, err, name)
		assert.Equal(t, intent.ID, intent.Identify("7c9d1f7e-0000-4000-8000-000000000001").ID, name)
		again, err := intent.Encode()
		require.NoError(t, err, name)
		assert.Equal(t, document, again, "%s: every field is read", name)
	}
}

func TestReportsOfFormerAgentsAreReadWhole(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"report.json", "report-handlers.json", "report-ping.json"} {
		document := former(t, name)
		report, err := node.DecodeReport(document)
		require.NoError(t, err, name)
		again, err := report.Encode()
		require.NoError(t, err, name)
		assert.Equal(t, document, again, "%s: every field is read", name)
	}
}

func TestAReportFromANewerAgentMayHaveMoreFields(t *testing.T) {
	t.Parallel()
	report, err := node.DecodeReport(`{"version":1,"speaks":[1,2],"bootID":"b","architecture":"amd64","phase":"Idle","boundPods":{"count":0},"colour":{"of":"blue"}}`)
	require.NoError(t, err)
	assert.Equal(t, node.PhaseIdle, report.Phase)
}
