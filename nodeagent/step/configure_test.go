// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/payload/manifest"
)

func TestAPayloadWithoutOurHandlerIsNamed(t *testing.T) {
	t.Parallel()
	b, s, f := stopped(t, plan.Configure)
	document := filepath.Join(b.Root, host.PayloadDir(s.Slot), manifest.Path)
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	m, err := manifest.Decode(content)
	require.NoError(t, err)
	m.Handlers[0].Name = "kata-fc"
	content, err = manifest.Encode(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(document, content, 0o600))
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "offers no handler kata-oc")
}

func TestConfigurationOfBothHandlersHasTheAdministratorsFragments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.Files.Write(path.Join(host.ConfigDir, "a.toml"), []byte("[runtime]\nenable_debug = true\n"), 0o600))
	b.want(t, installing(one()))
	b.settle(t)
	for _, link := range []string{host.CurrentLink + "/kata-oc", host.ProofLink + "/kata-oc-proof"} {
		configuration, err := b.Files.Read(path.Join(link, host.Configuration))
		require.NoError(t, err)
		assert.Contains(t, string(configuration), "enable_debug = true")
		assert.Contains(t, string(configuration), "version = '1.0.0'")
		slot, err := b.Files.Readlink(path.Dir(link))
		require.NoError(t, err)
		assert.Contains(t, string(configuration), "kernel = '"+path.Join("/run/kata-agent", slot, "payload", hosttest.KernelFile)+"'")
		shim, err := b.Files.Read(path.Join(link, host.Shim))
		require.NoError(t, err)
		assert.Equal(t, one().Shim, string(shim))
	}
	require.NoError(t, b.Files.Write(path.Join(host.ConfigDir, "b.toml"), []byte("["), 0o600))
	s, f := b.until(t, plan.Configure)
	assert.ErrorContains(t, b.runner().Run(t.Context(), s, f), "b.toml")
}

// onHost is a payload that leaves QEMU and virtiofsd to its host.
func TestGuestsOfAHostInFIPSModeRunInFIPSMode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"1\n": true, "0\n": false} {
		b := newBench(t)
		require.NoError(t, b.Files.Write(host.FIPSFile, []byte(text), 0o444))
		b.want(t, installing(one()))
		b.settle(t)
		for _, link := range []string{host.CurrentLink + "/kata-oc", host.ProofLink + "/kata-oc-proof"} {
			configuration, err := b.Files.Read(path.Join(link, host.Configuration))
			require.NoError(t, err)
			assert.Equal(t, want, strings.Contains(string(configuration), "\nkernel_params = 'fips=1'\n"), "%s: %s", text, configuration)
		}
	}
}

func onHost() hosttest.Payload {
	return hosttest.Payload{Version: "4.0.0", Shim: "#!/bin/true four", Requires: manifest.Requires{QEMU: true, Virtiofsd: true}}
}

func TestAPayloadUsesTheProgramsOfItsHost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Registry[onHost().Reference()] = onHost()
	b.want(t, installing(onHost()))
	for _, program := range []string{"/usr/bin/qemu-system-x86_64", "/usr/libexec/virtiofsd"} {
		_, last := b.settle(t)
		require.NotNil(t, last.Problem)
		require.Contains(t, last.Problem.Message, "this host has no ", "the sentence says what is missing and what brings it")
		require.NoError(t, b.Files.Write(program, []byte("#!/bin/true"), 0o755))
	}
	s, f := b.until(t, plan.Configure)
	configuration := func() string {
		text, err := b.Files.Read(path.Join(host.SlotDir(s.Slot), node.ProofHandler, host.Configuration))
		require.NoError(t, err)
		return string(text)
	}
	require.NoError(t, b.runner().Run(t.Context(), s, f))
	assert.Contains(t, configuration(), "\nmachine_type = 'q35'\npath = '/usr/bin/qemu-system-x86_64'\n")
	assert.Contains(t, configuration(), "\nvirtio_fs_daemon = '/usr/libexec/virtiofsd'\n")

	require.NoError(t, b.Files.Write("/usr/libexec/qemu-kvm", []byte("#!/bin/true"), 0o755))
	require.NoError(t, b.Files.Remove("/usr/bin/qemu-system-x86_64"))
	b.settle(t)
	assert.Contains(t, configuration(), "\npath = '/usr/libexec/qemu-kvm'\n", "what has moved is found by the proof")
}

func TestAFileThatAConfigurationNamesHasToBeThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.Files.Write(path.Join(host.ConfigDir, "a.toml"), []byte("[hypervisor.qemu]\nfirmware = '/usr/share/OVMF.fd'\n"), 0o600))
	b.want(t, installing(one()))
	s, f := b.until(t, plan.Configure)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f),
		`hypervisor.qemu.firmware in configuration.toml names "/usr/share/OVMF.fd": no such file or directory: install that file, or name another one in a file in /etc/kata-agent/config.d`)
	assert.NoDirExists(t, filepath.Join(b.Root, host.SlotDir(s.Slot), node.Handler), "nothing is half configured")
	require.NoError(t, b.Files.Write("/usr/share/OVMF.fd", []byte("x"), 0o644))
	require.NoError(t, b.runner().Run(t.Context(), s, f))
}

func TestAKernelThatAPayloadLeavesToPeopleHasToBeNamed(t *testing.T) {
	t.Parallel()
	b, payload := newBench(t), one()
	payload.Requires.Kernel = true
	b.Registry[payload.Reference()] = payload
	fragment := path.Join(host.ConfigDir, "kernel.toml")
	require.NoError(t, b.Files.Write(fragment, []byte("[hypervisor.qemu]\nkernel = ''\n"), 0o600))
	b.want(t, installing(payload))
	s, f := b.until(t, plan.Configure)
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "configuration.toml names no kernel: this payload has no kernel for its guests")
	require.NoError(t, b.Files.Write(fragment, []byte("[hypervisor.qemu]\nkernel = '/boot/vmlinux-guest'\n"), 0o600))
	require.NoError(t, b.Files.Write("/boot/vmlinux-guest", []byte("x"), 0o644))
	_, last := b.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}
