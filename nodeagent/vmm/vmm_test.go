// SPDX-License-Identifier: Apache-2.0

package vmm_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/vmm"
)

// tree is a host with programs at these paths.
func tree(t *testing.T, mode fs.FileMode, programs ...string) files.Tree {
	t.Helper()
	root := files.Below(t.TempDir())
	for _, program := range programs {
		require.NoError(t, root.Write(program, []byte("#!/bin/true"), mode))
	}
	return root
}

func TestProgramsAreFoundWhereDistributionsInstallThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		architecture    string
		installed       []string
		qemu, virtiofsd string
	}{
		"RHCOS":              {"amd64", []string{"/usr/libexec/qemu-kvm", "/usr/libexec/virtiofsd"}, "/usr/libexec/qemu-kvm", "/usr/libexec/virtiofsd"},
		"Fedora":             {"amd64", []string{"/usr/bin/qemu-kvm", "/usr/bin/qemu-system-x86_64", "/usr/libexec/virtiofsd"}, "/usr/bin/qemu-system-x86_64", "/usr/libexec/virtiofsd"},
		"Fedora on arm64":    {"arm64", []string{"/usr/bin/qemu-system-aarch64", "/usr/libexec/virtiofsd"}, "/usr/bin/qemu-system-aarch64", "/usr/libexec/virtiofsd"},
		"Debian 12":          {"amd64", []string{"/usr/bin/qemu-system-x86_64", "/usr/lib/qemu/virtiofsd"}, "/usr/bin/qemu-system-x86_64", ""},
		"Debian 13":          {"amd64", []string{"/usr/bin/qemu-system-x86_64", "/usr/libexec/virtiofsd"}, "/usr/bin/qemu-system-x86_64", "/usr/libexec/virtiofsd"},
		"Arch":               {"amd64", []string{"/usr/bin/qemu-system-x86_64", "/usr/lib/virtiofsd"}, "/usr/bin/qemu-system-x86_64", "/usr/lib/virtiofsd"},
		"POWER":              {"ppc64le", []string{"/usr/bin/qemu-system-ppc64", "/usr/libexec/virtiofsd"}, "/usr/bin/qemu-system-ppc64", "/usr/libexec/virtiofsd"},
		"another machine's":  {"s390x", []string{"/usr/bin/qemu-system-x86_64"}, "", ""},
		"a script of Fedora": {"amd64", []string{"/usr/bin/qemu-kvm"}, "/usr/bin/qemu-kvm", ""},
	} {
		root := tree(t, 0o755, c.installed...)
		qemu, err := vmm.QEMU(c.architecture).Find(root)
		assert.Equal(t, c.qemu == "", err != nil, name)
		virtiofsd, err := vmm.Virtiofsd().Find(root)
		assert.Equal(t, c.virtiofsd == "", err != nil, name)
		assert.Equal(t, []string{c.qemu, c.virtiofsd}, []string{qemu, virtiofsd}, name)
	}
}

func TestALinkIsFollowedAndWhatIsNoProgramIsPassedOver(t *testing.T) {
	t.Parallel()
	root := tree(t, 0o755, "/usr/bin/qemu-system-x86_64", "/opt/qemu")
	require.NoError(t, os.MkdirAll(root.Path("/usr/libexec/qemu-kvm"), 0o755))
	found, err := vmm.QEMU("amd64").Find(root)
	require.NoError(t, err)
	assert.Equal(t, "/usr/bin/qemu-system-x86_64", found, "a directory is none")

	require.NoError(t, root.Link("/usr/libexec/virtiofsd", filepath.Join("..", "..", "opt", "qemu")))
	found, err = vmm.Virtiofsd().Find(root)
	require.NoError(t, err)
	assert.Equal(t, "/usr/libexec/virtiofsd", found)
	require.NoError(t, root.Remove("/opt/qemu"))
	_, err = vmm.Virtiofsd().Find(root)
	require.Error(t, err, "a link to nothing")

	_, err = vmm.QEMU("amd64").Find(tree(t, 0o644, "/usr/libexec/qemu-kvm"))
	assert.Error(t, err, "a file that nobody may execute")
}

func TestAHostWithoutAProgramIsToldWhatBringsIt(t *testing.T) {
	t.Parallel()
	_, err := vmm.QEMU("amd64").Find(tree(t, 0o755))
	missing := &vmm.Missing{}
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, "QEMU", missing.Program.Name)
	require.EqualError(t, err, "this host has no QEMU (looked for /usr/libexec/qemu-kvm, /usr/bin/qemu-system-x86_64, /usr/bin/qemu-kvm): "+
		"on OpenShift add the extension sandboxed-containers to a MachineConfig, elsewhere install the package qemu-kvm-core, or qemu-system-x86 on Debian and Ubuntu")
	_, err = vmm.Virtiofsd().Find(tree(t, 0o755))
	assert.ErrorContains(t, err, "install the package virtiofsd")
}

func TestEveryArchitectureOfAPayloadHasAMachine(t *testing.T) {
	t.Parallel()
	for architecture, want := range map[string]string{"amd64": "q35", "arm64": "virt", "ppc64le": "pseries", "s390x": "s390-ccw-virtio", "mips": ""} {
		assert.Equal(t, want, vmm.MachineType(architecture))
	}
}
