// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// keeps makes a kubelet want so much to stay free.
func (n node) keeps(t host.Threshold) {
	n.store.Thresholds = func(context.Context) []host.Threshold { return []host.Threshold{t} }
}

func TestAPullThatTheKubeletWouldEvictPodsForIsRefused(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	for says, threshold := range map[string]host.Threshold{
		"imagefs.available 1Pi": {Signal: "imagefs.available", Value: "1Pi", Dir: host.StoreDir, Amount: 1 << 50},
		"nodefs.available 99%":  {Signal: "nodefs.available", Value: "99%", Dir: "/etc", Percent: 99},
	} {
		n.keeps(threshold)
		err := n.store.Pull(t.Context(), name, func(host.Progress) {})
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, says)
		assert.Len(t, s.fetched(), 1, "the configuration, which says what it is")
	}

	n.keeps(host.Threshold{Signal: "nodefs.available", Value: "1Pi", Dir: "/another/disk", Amount: 1 << 50})
	n.pull(t, name)
	n.keeps(host.Threshold{Signal: "imagefs.available", Value: "1Pi", Dir: host.StoreDir, Amount: 1 << 50})
	n.pull(t, name)
	assert.Len(t, n.list(t), 1, "what is there takes no room")
}

func TestInodesCountWhereAFileSystemHasAFixedNumber(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	_, name := s.publish(t, "1.0.0")
	var now syscall.Statfs_t
	require.NoError(t, syscall.Statfs(n.root, &now))
	if now.Files == 0 {
		t.Skip("this file system counts no inodes")
	}
	n.keeps(host.Threshold{Signal: "nodefs.inodesFree", Value: "100", Dir: host.StoreDir, Amount: now.Files, Inodes: true})
	require.ErrorContains(t, n.store.Pull(t.Context(), name, func(host.Progress) {}), "nodefs.inodesFree 100")
}
