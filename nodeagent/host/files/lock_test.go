// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/files"
)

func TestALockHasOneHolder(t *testing.T) {
	t.Parallel()
	tree := files.Below(t.TempDir())
	release, err := tree.Lock("/run/kata-agent/lock")
	require.NoError(t, err)
	_, err = tree.Lock("/run/kata-agent/lock")
	require.ErrorIs(t, err, files.ErrLocked)
	require.NoError(t, release())
	release, err = tree.Lock("/run/kata-agent/lock")
	require.NoError(t, err)
	require.NoError(t, release())
}
