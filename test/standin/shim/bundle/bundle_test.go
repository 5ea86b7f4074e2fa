// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/standin/shim/bundle"
)

const (
	podNetwork = `{"linux": {"namespaces": [{"type": "network", "path": "/run/netns/x"}], "cgroupsPath": "/kubepods/x"}}`
	ownNetwork = `{"linux": {"namespaces": [{"type": "ipc"}, {"type": "network"}]}}`
	workload   = `{"annotations": {"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "sandbox1"}}`
	itself     = `{"annotations": {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.SandboxID": "one"}}`
)

func TestNetworkComesFromTheNamespaces(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "/run/netns/x", read(t, podNetwork).NetworkNamespace())
	assert.Empty(t, read(t, ownNetwork).NetworkNamespace())
	assert.Empty(t, read(t, `{}`).NetworkNamespace())
	assert.Equal(t, "/kubepods/x", read(t, podNetwork).CgroupsPath())
	assert.Empty(t, read(t, `{}`).CgroupsPath())
}

func TestAWorkloadContainerBelongsToItsSandbox(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "sandbox1", read(t, workload).SandboxOf("one"))
	assert.Equal(t, "one", read(t, itself).SandboxOf("one"))
	assert.Equal(t, "one", read(t, `{}`).SandboxOf("one"))
}

func TestABundleThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := bundle.Read(dir)
	require.ErrorContains(t, err, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o600))
	_, err = bundle.Read(dir)
	assert.ErrorContains(t, err, dir)
}

func read(t *testing.T, content string) bundle.Bundle {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(content), 0o600))
	b, err := bundle.Read(dir)
	require.NoError(t, err)
	return b
}
