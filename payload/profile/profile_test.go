// SPDX-License-Identifier: Apache-2.0

package profile_test

import (
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/profile"
)

func TestEveryProfileIsWhole(t *testing.T) {
	t.Parallel()
	names, err := profile.Names()
	require.NoError(t, err)
	assert.Equal(t, []string{"host-qemu", "minimal", "runtime-rs", "self-contained"}, names)
	for _, name := range names {
		for _, architecture := range []string{"amd64", "arm64", "s390x"} {
			p, err := profile.For(name, architecture, "4.2.0")
			require.NoError(t, err)
			assert.NotEmpty(t, p.Summary)
			assert.Equal(t, "/opt/kata", p.Prefix)
			files := map[string]bool{}
			for _, c := range p.Components {
				assert.NotEmpty(t, c.Shim, "%s is a component", c.Name)
				for _, pattern := range append(c.Paths, c.Optional...) {
					assert.NotContains(t, pattern, "{")
					files[pattern] = true
				}
			}
			require.NotEmpty(t, p.Handlers)
			for _, h := range p.Handlers {
				assert.True(t, files[h.Shim] && files[h.Config], "handler %s has its files in %s", h.Name, name)
				assert.NotEmpty(t, h.Settings, "handler %s", h.Name)
			}
		}
	}
}

func TestTheProfileOfAnArchitecture(t *testing.T) {
	t.Parallel()
	p, err := profile.For("self-contained", "arm64", "4.2.0")
	require.NoError(t, err)
	assert.Equal(t, []string{"opt/kata/bin/qemu-system-aarch64"}, p.Components[1].Paths)
	assert.Equal(t, map[string]any{"hypervisor": map[string]any{"qemu": map[string]any{
		"kernel": "/opt/kata/share/kata-containers/vmlinux.container", "initrd": "/opt/kata/share/kata-containers/kata-containers-initrd.img",
		"image": "", "rootfs_type": "",
	}}}, p.Handlers[0].Settings, "upstream's own path of QEMU is right")
}

func TestWhatCannotBeBuiltIsSaid(t *testing.T) {
	t.Parallel()
	for want, test := range map[string]struct{ name, architecture, kata string }{
		`profile "x" is unknown: the profiles are host-qemu, minimal, runtime-rs, self-contained`:                                            {"x", "amd64", "4.2.0"},
		`profile "minimal" is not made for architecture "riscv64": those with one are amd64, arm64, s390x`:                                   {"minimal", "riscv64", "4.2.0"},
		`profile "runtime-rs" needs Kata >= 4.2.0, and the sources have 4.1.0: before it, the shim runtime-rs loses terminal output and OOM`: {"runtime-rs", "amd64", "4.1.0"},
		`and the sources have 3.20.0`: {"runtime-rs", "amd64", "3.20.0"},
	} {
		_, err := profile.For(test.name, test.architecture, test.kata)
		require.ErrorContains(t, err, want)
	}
	_, err := profile.For("runtime-rs", "amd64", "4.3.0")
	require.NoError(t, err)
}

func TestSettingsAreLaidOverUpstreamsConfiguration(t *testing.T) {
	t.Parallel()
	p, err := profile.For("host-qemu", "amd64", "4.2.0")
	require.NoError(t, err)
	out, err := p.Handlers[0].Configure([]byte(`
[hypervisor.qemu]
path = "/opt/kata/bin/qemu-system-x86_64"
valid_hypervisor_paths = ["/opt/kata/bin/qemu-system-x86_64", "/other"]
image = "/opt/kata/share/kata-containers/kata-containers.img"
default_maxvcpus = 0
firmware = ""
[agent.kata]
kernel_modules = []
[runtime]
sandbox_cgroup_only = false
`))
	require.NoError(t, err)
	var got map[string]map[string]any
	require.NoError(t, toml.Unmarshal(out, &got))
	assert.Equal(t, map[string]map[string]any{
		"hypervisor": {"qemu": map[string]any{
			"path": "/usr/libexec/qemu-kvm", "valid_hypervisor_paths": []any{"/usr/libexec/qemu-kvm"},
			"virtio_fs_daemon": "/usr/libexec/virtiofsd", "valid_virtio_fs_daemon_paths": []any{"/usr/libexec/virtiofsd"},
			"kernel": "/opt/kata/share/kata-containers/vmlinuz.container", "image": "", "rootfs_type": "",
			"initrd": "/opt/kata/share/kata-containers/kata-containers-initrd.img", "default_maxvcpus": int64(0), "firmware": "",
		}},
		"agent": {"kata": map[string]any{"kernel_modules": []any{}}}, "runtime": {"sandbox_cgroup_only": false},
	}, got)

	again, err := p.Handlers[0].Configure(out)
	require.NoError(t, err)
	assert.Equal(t, string(out), string(again))
	_, err = p.Handlers[0].Configure([]byte("[hypervisor.clh]\n"))
	require.EqualError(t, err, `upstream's configuration has no table "hypervisor.qemu": it is not the one that the profile was made for`)
	_, err = p.Handlers[0].Configure([]byte("= x"))
	require.ErrorContains(t, err, "reading upstream's configuration: ")
}

func TestMergeSharesNothingWithTheUpperTable(t *testing.T) {
	t.Parallel()
	upper := map[string]any{"a": map[string]any{"b": 1}}
	lower := map[string]any{}
	profile.Merge(lower, upper)
	profile.Merge(lower, map[string]any{"a": map[string]any{"c": 2}})
	assert.Equal(t, map[string]any{"a": map[string]any{"b": 1}}, upper)
	assert.Equal(t, map[string]any{"a": map[string]any{"b": 1, "c": 2}}, lower)
}
