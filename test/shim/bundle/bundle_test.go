// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/shim/bundle"
)

const (
	podNetwork = `{"linux": {"namespaces": [{"type": "network", "path": "/run/netns/x"}]}}`
	ownNetwork = `{"linux": {"namespaces": [{"type": "ipc"}, {"type": "network"}]}}`
	workload   = `{"annotations": {"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "sandbox1"}}`
	itself     = `{"annotations": {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.SandboxID": "one"}}`
)

func TestNetworkComesFromTheNamespaces(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "/run/netns/x", read(t, podNetwork).NetworkNamespace())
	assert.Empty(t, read(t, ownNetwork).NetworkNamespace())
	assert.Empty(t, read(t, `{}`).NetworkNamespace())
}

func TestTheShimsCgroupIsNextToTheContainers(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		cgroup  string
		systemd bool
	}{
		"":                                 {},
		"/crio-1":                          {cgroup: "/kata_crio-1"},
		"/kubepods/besteffort/podx/crio-1": {cgroup: "/kubepods/besteffort/podx/kata_crio-1"},
		"kubepods-besteffort-podx.slice:crio:1": {
			cgroup: "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podx.slice/kata_crio-1", systemd: true,
		},
	} {
		b := read(t, fmt.Sprintf(`{"linux": {"cgroupsPath": %q}}`, path))
		assert.Equal(t, want.cgroup, b.ShimCgroup(), path)
		assert.Equal(t, want.systemd, b.SystemdCgroup(), path)
	}
	assert.Empty(t, read(t, `{}`).ShimCgroup())
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
