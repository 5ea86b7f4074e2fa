// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bundleIn makes one of a sandbox in the given network namespace.
func bundleIn(t *testing.T, network string) string {
	t.Helper()
	dir := t.TempDir()
	spec := fmt.Sprintf(`{"linux": {"namespaces": [{"type": "network", "path": %q}]}}`, network)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(spec), 0o600))
	return dir
}

func TestTheHostsOwnNetworkIsRefusedByDefault(t *testing.T) {
	t.Parallel()
	var p place
	require.ErrorContains(t, p.admit(bundleIn(t, fmt.Sprintf("/proc/%d/ns/net", os.Getpid())), ""), "Host networking requested")
	assert.NoError(t, p.admit(bundleIn(t, ""), ""), "without a path the runtime makes a namespace")
}

func TestTheGuestsImageIsHeldWhileTheShimRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, file := filepath.Join(dir, "guest.image"), filepath.Join(dir, "configuration.toml")
	require.NoError(t, os.WriteFile(image, []byte("a guest"), 0o600))
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "[hypervisor.qemu]\nimage = %q\n", image), 0o600))
	var p, other place
	require.NoError(t, p.admit(bundleIn(t, "/run/netns/a"), file))
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	assert.Contains(t, string(maps), image)

	require.NoError(t, os.Remove(image))
	require.ErrorContains(t, other.admit(bundleIn(t, "/run/netns/a"), file), "opening the guest's image: open "+image+": no such file")
}
