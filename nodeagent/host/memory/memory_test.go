// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/memory"
)

// resident is what this process has of files, in kB.
func resident(t *testing.T) (kilobytes int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, line, found := bytes.Cut(status, []byte("RssFile:"))
	require.True(t, found)
	_, err = fmt.Sscan(string(line), &kilobytes)
	require.NoError(t, err)
	return kilobytes
}

func TestAProcessAtRestKeepsLittleOfItsProgram(t *testing.T) { //nolint:paralleltest // Others would map it again.
	before := resident(t)
	require.NoError(t, memory.Release())
	after := resident(t)
	t.Logf("%d kB before, %d kB after", before, after)
	assert.Less(t, after, before, "and the program runs on")
	require.NoError(t, memory.Release())
}
