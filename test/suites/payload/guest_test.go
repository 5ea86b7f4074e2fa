// SPDX-License-Identifier: Apache-2.0

package payload_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/machine"
)

// TestTheGuestOfAPayloadBoots shows that the generated initrd is one: on an emulated processor,
// with Debian's kernel, its first process says what it is and powers off.
func TestTheGuestOfAPayloadBoots(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("making the tree that has the kernel needs root")
	}
	base, err := machine.EmulatedBase(t.Context(), "../../../.cache/bed", io.Discard)
	require.NoError(t, err)
	kernels, err := filepath.Glob(filepath.Join(base, "boot/vmlinuz-*"))
	require.NoError(t, err)
	require.Len(t, kernels, 1)
	dir := t.TempDir()
	require.NoError(t, pair("amd64")[0].Unpack(dir, program(t, "amd64")))
	out, err := exec.CommandContext(t.Context(), "qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-machine", "pc,accel=tcg", "-m", "256", "-kernel", kernels[0], "-append", "console=ttyS0 quiet panic=-1",
		"-initrd", filepath.Join(dir, "opt/kata/share/kata-containers/kata-containers-initrd.img")).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "kata-agent of a generated archive")
}
