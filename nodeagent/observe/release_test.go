// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
)

// Most systems have a relative link in /etc.
func TestTheOperatingSystemIsThatOfOSRelease(t *testing.T) {
	t.Parallel()
	m := machine(t)
	release := func() host.Release { return look(t, m, cluster.State{}).Packages.Release }
	assert.Equal(t, host.Release{}, release())
	put(t, m, map[string]string{"/usr/lib/os-release": "NAME=\"Red Hat Enterprise Linux CoreOS\"\nID=\"rhcos\"\nID_LIKE=\"rhel fedora\"\nVERSION=\"418.94.202501\"\nVERSION_ID=\"4.18\"\nVARIANT_ID=coreos\n"})
	want := host.Release{ID: "rhcos", Version: "4.18", Variant: "coreos"}
	assert.Equal(t, want, release())
	require.NoError(t, os.MkdirAll(filepath.Join(m.Root, "etc"), 0o755))
	require.NoError(t, os.Symlink("../usr/lib/os-release", filepath.Join(m.Root, "etc/os-release")))
	assert.Equal(t, want, release())
	require.NoError(t, os.Remove(filepath.Join(m.Root, "etc/os-release")))
	put(t, m, map[string]string{"/etc/os-release": "# a comment\nID=debian\nVERSION_ID='12'\n"})
	assert.Equal(t, host.Release{ID: "debian", Version: "12"}, release())
}
