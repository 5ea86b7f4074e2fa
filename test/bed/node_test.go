// SPDX-License-Identifier: Apache-2.0

package bed_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fault"
	"github.com/kata-node/kata-node/test/bed/images"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

func TestNodeReachesTheClusterThroughItsOwnForwarders(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	cluster := start(t)
	node, err := cluster.AddNode(t.Context(), "n1", bed.NodeOptions{Bare: true})
	require.NoError(t, err)
	conf, err := node.ReadFile(t.Context(), "/etc/containers/registries.conf")
	require.NoError(t, err)
	assert.Contains(t, string(conf), node.Images.Address())
	config, err := node.ReadFile(t.Context(), "/var/lib/kubelet/kubeconfig")
	require.NoError(t, err)
	assert.Contains(t, string(config), node.API.Address())

	stall := node.Images.Stall(fault.Blobs)
	go func() {
		<-stall.Reached()
		stall.Release()
	}()
	answer := fetch(t, node, node.Images.Address(), "/v2/kata/blobs/sha256:"+strings.Repeat("a", 64))
	assert.Contains(t, answer, "BLOB_UNKNOWN", "what was held goes on to the registry")

	require.Contains(t, fetch(t, node, node.API.Address(), "/"), "HTTP/1.0 400", "plain HTTP to a TLS port")
	node.API.Cut()
	assert.Empty(t, fetch(t, node, node.API.Address(), "/"))
	node.API.Restore()
	assert.NotEmpty(t, fetch(t, node, node.API.Address(), "/"))
}

// fetch asks from inside the node, with what a minimal Debian has.
func fetch(t *testing.T, node *bed.Node, address, path string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	script := fmt.Sprintf(`trap '' PIPE; exec 3<>/dev/tcp/%s/%s; printf 'GET %s HTTP/1.0\r\n\r\n' >&3; cat <&3; exit 0`, host, port, path)
	out, err := node.Exec(t.Context(), "bash", "-c", script)
	require.NoError(t, err)
	return string(out)
}

func TestNodeSnapshotSeesOneChangedByte(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	node, err := start(t).AddNode(t.Context(), "n1", bed.NodeOptions{Bare: true, Files: map[string]string{"/etc/kata-test/file": "one"}})
	require.NoError(t, err)
	_, err = node.Exec(t.Context(), "sh", "-c", "echo volatile > /run/volatile; echo store > /var/lib/kata-containers/file")
	require.NoError(t, err)
	paths := []string{"/etc", "/run/volatile", "/var/lib/kata-*"}
	before, err := node.Snapshot(t.Context(), paths...)
	require.NoError(t, err)
	require.Contains(t, before, "/run/volatile")
	require.Contains(t, before, "/var/lib/kata-containers/file")

	require.NoError(t, node.Reboot(t.Context()))
	after, err := node.Snapshot(t.Context(), paths...)
	require.NoError(t, err)
	diff := snapshot.Diff(before, after)
	require.Len(t, diff, 1, "a reboot takes away what was in /run, and nothing else")
	assert.Contains(t, diff[0], "/run/volatile: gone")

	require.NoError(t, node.WriteFile("/etc/kata-test/file", []byte("two"), 0o644))
	after, err = node.Snapshot(t.Context(), "/etc")
	require.NoError(t, err)
	assert.Len(t, snapshot.Diff(before.Without("/run", "/var"), after), 1)
}

func TestNodesShareAnImageStoreThatNoneCanChange(t *testing.T) {
	t.Parallel()
	bed.Require(t)
	cluster := start(t, bed.NodePrograms()...)
	require.NoError(t, cluster.PushImages(t.Context()))
	node, err := cluster.AddNode(t.Context(), "n1", bed.NodeOptions{})
	require.NoError(t, err)
	known, err := node.Exec(t.Context(), "cat", "/usr/share/kata-test/images/overlay-images/images.json")
	require.NoError(t, err)
	for _, named := range []string{images.Pause, images.Busybox, images.Agnhost} {
		assert.Contains(t, string(known), named)
	}
	_, err = node.Exec(t.Context(), "touch", "/usr/share/kata-test/images/file")
	require.ErrorContains(t, err, "Read-only file system")
	kind, err := node.Exec(t.Context(), "stat", "--file-system", "--format=%T", "/usr/share/kata-test/images", "/var/lib/containers")
	require.NoError(t, err)
	assert.NotContains(t, string(kind), "overlay", "the root of a container is an overlay over both; a third level is refused by the kernel")
}
