// SPDX-License-Identifier: Apache-2.0

package launch_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/shim/launch"
)

const (
	workload = `{"annotations": {"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "sandbox1"}}`
	sandbox  = `{"annotations": {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.SandboxID": "sandbox1"}}`
)

// launcher's program ends at once: what is tested here is who gets one.
func launcher(t *testing.T, spec string) launch.Launcher {
	t.Helper()
	bundle := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bundle, "config.json"), []byte(spec), 0o600))
	sockets, err := os.MkdirTemp("", "s") //nolint:usetesting // a socket's path has at most 107 bytes
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(sockets) }) //nolint:errcheck // below the temporary directory
	return launch.Launcher{Executable: "/bin/true", SocketDir: sockets, Namespace: "default", Bundle: bundle}
}

func TestASandboxGetsASocketOfItsOwn(t *testing.T) {
	t.Parallel()
	l := launcher(t, sandbox)
	address, err := l.Start("sandbox1")
	require.NoError(t, err)
	entries, err := os.ReadDir(l.SocketDir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "unix://"+filepath.Join(l.SocketDir, entries[0].Name()), address)
	recorded, err := os.ReadFile(filepath.Join(l.Bundle, "address"))
	require.NoError(t, err)
	assert.Equal(t, address, string(recorded))
}

func TestAContainerIsSentToTheShimOfItsSandbox(t *testing.T) {
	t.Parallel()
	first, second := launcher(t, sandbox), launcher(t, workload)
	second.SocketDir = first.SocketDir
	own, err := first.Start("sandbox1")
	require.NoError(t, err)
	sent, err := second.Start("container1")
	require.NoError(t, err)
	assert.Equal(t, own, sent)
}

func TestASandboxIsNotStartedTwice(t *testing.T) {
	t.Parallel()
	l := launcher(t, sandbox)
	_, err := l.Start("sandbox1")
	require.NoError(t, err)
	_, err = l.Start("sandbox1")
	assert.ErrorContains(t, err, "starting shim of sandbox1")
}
