// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
)

func reported() node.Report {
	return node.Report{
		Version: node.Version, Speaks: []int{1}, IntentID: "0123456789abcdef", BootID: "boot-1", Architecture: "amd64", Phase: node.PhaseInstalled,
		Payload: "sha256:" + strings.Repeat("a", 64), Platform: "sha256:" + strings.Repeat("c", 64), PayloadVersion: "1.0.0", InUse: []string{"sha256:" + strings.Repeat("b", 64)}, Handlers: []string{"debug", "rs"},
		BoundPods: node.BoundPods{Count: 1, Names: []string{"ns/pod"}},
		Ping:      time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
		Error:     &node.Error{Step: "pull payload", Reason: "PullPayloadFailed", Message: "no route to host", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
	}
}

func TestReportIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	document, err := reported().Encode()
	require.NoError(t, err)
	read, err := node.DecodeReport(document)
	require.NoError(t, err)
	assert.Equal(t, reported(), read)
}

func TestReportsWireForm(t *testing.T) {
	t.Parallel()
	document, err := node.Report{Version: 1, Speaks: []int{1}, BootID: "b", Architecture: "arm64", Phase: node.PhaseIdle}.Encode()
	require.NoError(t, err)
	assert.JSONEq(t, `{"version":1,"speaks":[1],"bootID":"b","architecture":"arm64","phase":"Idle","boundPods":{"count":0}}`, document)
}

func TestReportThatCannotBeUnderstoodIsRefusedWithItsField(t *testing.T) {
	t.Parallel()
	for document, says := range map[string]string{
		`oops`:                            "not a JSON document",
		`{} {}`:                           "more than one JSON document",
		`{}`:                              "version 0",
		`{"version":2}`:                   "version 2",
		`{"version":1,"phase":"Napping"}`: `phase "Napping" is unknown`,
		`{"version":1,"phase":"Idle"}`:    "bootID is empty",
		`{"version":1,"phase":"Idle","bootID":"b","boundPods":{"count":-1}}`: "boundPods.count is -1",
	} {
		_, err := node.DecodeReport(document)
		require.ErrorContains(t, err, "reading report: "+says, document)
	}
	_, err := node.Report{}.Encode()
	assert.ErrorContains(t, err, "writing report: version 0")
}

func TestReportsAreBoundedWhateverIsInThem(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"letters": strings.Repeat("x", 5000), "runes": strings.Repeat("日", 5000), "escapes": strings.Repeat("\x00<&\"", 2000), "no text": strings.Repeat("\xff", 5000),
	} {
		r := hostile(text, 200)
		document, err := r.Encode()
		require.NoError(t, err, name)
		assert.LessOrEqual(t, len(document), node.MaxReportBytes, name)
		read, err := node.DecodeReport(document)
		require.NoError(t, err, name)
		assert.True(t, utf8.ValidString(read.Error.Message))
		assert.True(t, name == "no text" || strings.Contains(read.Error.Message, "…"), "what was cut says so")
		assert.Equal(t, 200, read.BoundPods.Count, "the count is whole although the names are not")
		assert.NotEmpty(t, read.BoundPods.Names)
		assert.LessOrEqual(t, len(read.BoundPods.Names), 3)
		assert.Len(t, r.Error.Message, len(text), "the caller's report is left alone")
	}
}

// People look for the pods by what is reported.
func TestNamesOfPodsAreWholeAndAsManyAsFit(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("n", 63) + "/" + strings.Repeat("p", 253)
	usual := "team-payments-production/checkout-service-canary-7d9f8b6c5d-x2x4z"
	for name, x := range map[string]struct{ bound, want []string }{
		"short":            {[]string{"a/1", "a/2", "a/3", "a/4", "a/5", "a/6"}, []string{"a/1", "a/2", "a/3", "a/4", "a/5"}},
		"usual":            {[]string{usual, usual + "1", usual + "2", usual + "3", usual + "4"}, []string{usual, usual + "1", usual + "2", usual + "3"}},
		"the longest":      {[]string{longest, "a/1"}, []string{longest}},
		"the longest last": {[]string{"a/1", longest, "b/2"}, []string{"a/1"}},
	} {
		r := node.Report{Version: node.Version, BootID: "b", Phase: node.PhaseBlocked, BoundPods: node.BoundPods{Count: len(x.bound), Names: x.bound}}
		document, err := r.Encode()
		require.NoError(t, err, name)
		read, err := node.DecodeReport(document)
		require.NoError(t, err, name)
		assert.Equal(t, node.BoundPods{Count: len(x.bound), Names: x.want}, read.BoundPods, name)
	}
}

// hostile is a report with one text in every place.
func hostile(text string, times int) node.Report {
	many := make([]string, times)
	for i := range many {
		many[i] = text
	}
	return node.Report{
		Version: node.Version, Speaks: make([]int, times), IntentID: text, BootID: text, Architecture: text, HostCheck: text, HostWarning: text, UpdateBlocked: text, Phase: node.PhaseAwaitingGrant,
		Payload: text, Platform: text, PayloadVersion: text, Prefetched: text, Handlers: many, Ping: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("far", 12*3600+45*60)), Unguarded: true, InUse: many, BoundPods: node.BoundPods{Count: times, Names: many}, RebootRequired: true,
		Error: &node.Error{Step: text, Reason: text, Message: text, Since: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("far", 12*3600+45*60))},
	}
}
