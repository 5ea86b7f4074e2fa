// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// ConformVMs tests that machines start as the port demands. Program ready prints the line and
// stays, ends prints to both outputs and ends with status 3.
func ConformVMs(t *testing.T, vms host.VMs, ready, ends, line string) {
	t.Helper()
	b, err := vms.Boot(t.Context(), host.Boot{Program: ready, ReadyLine: line})
	require.NoError(t, err)
	assert.True(t, b.Ready)
	assert.Empty(t, b.Exited)
	assert.Contains(t, b.Console, line)

	b, err = vms.Boot(t.Context(), host.Boot{Program: ends, ReadyLine: line})
	require.NoError(t, err)
	assert.False(t, b.Ready)
	assert.Equal(t, "exit status 3", b.Exited)
	assert.Contains(t, b.Console, "console")
	assert.Contains(t, b.Words, "words")

	_, err = vms.Boot(t.Context(), host.Boot{Program: "/no/such/program"})
	require.ErrorIs(t, err, fs.ErrNotExist)
}
