// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
)

func FuzzDecodeIntent(f *testing.F) {
	document, err := installation().Encode()
	require.NoError(f, err)
	f.Add(document)
	f.Add(`{"version":1,"id":"x","state":"Absent"}`)
	f.Fuzz(func(t *testing.T, document string) {
		id := node.IntentID(document)
		intent, err := node.DecodeIntent(document)
		if err != nil {
			return
		}
		assert.Equal(t, intent.ID, id, "both readings agree")
		again, err := intent.Encode()
		require.NoError(t, err, "what was read can be written")
		read, err := node.DecodeIntent(again)
		require.NoError(t, err)
		assert.True(t, intent.Issued.Equal(read.Issued))
		read.Issued = intent.Issued
		assert.Equal(t, intent, read)
	})
}

func FuzzDecodeReport(f *testing.F) {
	document, err := reported().Encode()
	require.NoError(f, err)
	f.Add(document)
	f.Fuzz(func(t *testing.T, document string) {
		report, err := node.DecodeReport(document)
		if err != nil {
			return
		}
		bounded, err := report.Encode()
		require.NoError(t, err, "what was read can be written")
		once, err := node.DecodeReport(bounded)
		require.NoError(t, err)
		again, err := once.Encode()
		require.NoError(t, err)
		assert.Equal(t, bounded, again, "cutting twice cuts no more, so that equal reports stay equal")
	})
}

func FuzzReportStaysBounded(f *testing.F) {
	f.Add("x", uint8(3))
	f.Add("\xff\u2028<", uint8(255))
	f.Fuzz(func(t *testing.T, text string, times uint8) {
		r := hostile(text, int(times))
		r.BootID = "b" + text
		document, err := r.Encode()
		require.NoError(t, err)
		assert.LessOrEqual(t, len(document), node.MaxReportBytes)
	})
}
