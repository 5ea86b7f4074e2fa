// SPDX-License-Identifier: Apache-2.0

package machine_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/standin/kubelet/machine"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		full := filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o750))
		require.NoError(t, os.WriteFile(full, []byte(content), 0o600))
	}
	return root
}

func TestFactsAreReadBelowTheRoot(t *testing.T) {
	t.Parallel()
	got, err := machine.Read(tree(t, map[string]string{
		"proc/sys/kernel/random/boot_id": "boot-1\n",
		"proc/sys/kernel/osrelease":      "6.1.0-test\n",
		"proc/meminfo":                   "MemTotal:       2048 kB\nMemFree: 1 kB\n",
		"etc/machine-id":                 "abc\n",
		"etc/os-release":                 "NAME=Test\nPRETTY_NAME=\"Test OS 1\"\n",
	}), "n1")
	require.NoError(t, err)
	assert.Equal(t, "n1", got.Name)
	assert.Equal(t, "boot-1", got.BootID)
	assert.Equal(t, "6.1.0-test", got.KernelVersion)
	assert.Equal(t, "abc", got.MachineID)
	assert.Equal(t, "Test OS 1", got.OSImage)
	assert.EqualValues(t, 2048*1024, got.Capacity.Memory().Value())
	assert.NotEmpty(t, got.IP)
}

func TestAMachineWithoutBootIDIsRefused(t *testing.T) {
	t.Parallel()
	_, err := machine.Read(tree(t, map[string]string{"proc/meminfo": "MemTotal: 1 kB\n"}), "n1")
	assert.ErrorContains(t, err, "reading the boot id")
}
