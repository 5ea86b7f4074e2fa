// SPDX-License-Identifier: Apache-2.0

package mounts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
)

func TestTheKernelConforms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.unmount(t)
	hosttest.ConformMounts(t, hosttest.MountsBench{Mounts: b.kernel, Root: b.root, Hold: func(target string) func() {
		dir, err := os.Open(filepath.Join(b.root, target))
		require.NoError(t, err)
		return func() { assert.NoError(t, dir.Close()) }
	}})
}
