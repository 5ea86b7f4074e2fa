// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/handlers"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/payload/manifest"
)

func TestAHostThatCannotRunKataSaysWhy(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(t *testing.T, m *hosttest.Machine){
		"mount namespace of its own": func(t *testing.T, m *hosttest.Machine) { t.Helper(); m.Private = true },
		"live system": func(t *testing.T, m *hosttest.Machine) {
			t.Helper()
			put(t, m, map[string]string{"/run/ostree-live": ""})
		},
		"not yet rebooted": func(t *testing.T, m *hosttest.Machine) {
			t.Helper()
			put(t, m, map[string]string{"/etc/ignition-machine-config-encapsulated.json": "{}"})
		},
	} {
		m := machine(t)
		change(t, m)
		assert.Contains(t, look(t, m, cluster.State{}).Host.Problem, says)
	}
}

func TestWhatAHostLacksForAPayload(t *testing.T) {
	t.Parallel()
	m := machine(t)
	o := observe.Observer{Host: m.Host(), Self: host.Identity{BootID: bootID, CRIOUnit: "crio.service"}}
	virtual := manifest.Requires{KVM: true, QEMU: true}
	assert.Empty(t, o.Lacks(t.Context(), virtual))
	m.Facts.KVM, m.Facts.QEMU = host.KVM{}, host.Program{}
	assert.Equal(t, "the host has no /dev/kvm: load kvm_intel or kvm_amd, or turn on virtualization in the firmware", o.Lacks(t.Context(), virtual))
	assert.Empty(t, o.Lacks(t.Context(), manifest.Requires{QEMU: true}), "packages may bring programs")
	o.Self.Kernel = "4.18.0-553.el8.x86_64"
	assert.Equal(t, "the running kernel is 4.18.0-553.el8.x86_64, and the payload needs Linux 5.14 or later: update the operating system, or use a payload for older kernels",
		o.Lacks(t.Context(), manifest.Requires{OldestKernel: "5.14"}))
}

func TestAFragmentThatCannotBeReadIsAFact(t *testing.T) {
	t.Parallel()
	m := machine(t)
	require.NoError(t, os.MkdirAll(filepath.Join(m.Root, host.ConfigDir, "a.toml"), 0o755))
	f := look(t, m, cluster.State{})
	assert.Contains(t, f.Host.SettingsProblem, "reading configuration fragment a.toml: ")
	assert.Empty(t, f.Host.Settings)
}

func TestAnEditorsLockIsNoFragment(t *testing.T) {
	t.Parallel()
	m := machine(t)
	require.NoError(t, os.MkdirAll(filepath.Join(m.Root, host.ConfigDir), 0o755))
	for _, name := range []string{".#50-debug.toml", "60-dangling.toml"} {
		require.NoError(t, os.Symlink("user@host.123:456", filepath.Join(m.Root, host.ConfigDir, name)))
	}
	f := look(t, m, cluster.State{})
	assert.Empty(t, f.Host.SettingsProblem)
	assert.Equal(t, handlers.Fingerprint(nil), f.Host.Settings)
}
