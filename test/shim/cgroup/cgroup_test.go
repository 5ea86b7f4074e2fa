// SPDX-License-Identifier: Apache-2.0

package cgroup_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/shim/cgroup"
)

const hybrid = `25 18 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro
26 25 0:23 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw
27 25 0:24 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
28 25 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
30 18 0:26 / /proc rw - proc proc rw
`

func TestOnlyTheHierarchiesThatTrackServicesCount(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mountinfo")
	require.NoError(t, os.WriteFile(file, []byte(hybrid), 0o600))
	roots, err := cgroup.Roots(file)
	require.NoError(t, err)
	assert.Equal(t, []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"}, roots)
}

func TestLeaveTakesTheOwnDirectoryAndNoOther(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, cgroup.Join([]string{root}, "/kubepods/pod1/crio-1", 42))
	leaf := filepath.Join(root, "kubepods", "pod1", "crio-1", "cgroup.procs")
	content, err := os.ReadFile(leaf)
	require.NoError(t, err)
	assert.Equal(t, "42", string(content))

	require.NoError(t, os.Remove(leaf)) // a real hierarchy has no files that keep a directory
	require.NoError(t, cgroup.Leave([]string{root}, "/kubepods/pod1/crio-1", 42))
	assert.NoDirExists(t, filepath.Dir(leaf))
	assert.DirExists(t, filepath.Join(root, "kubepods", "pod1"))
}

func TestMountinfoThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	_, err := cgroup.Roots(filepath.Join(t.TempDir(), "absent"))
	assert.ErrorContains(t, err, "finding cgroup hierarchies")
}
