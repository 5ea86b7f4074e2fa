// SPDX-License-Identifier: Apache-2.0

package handlers_test

import (
	"maps"
	"os"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/handlers"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return content
}

// laid lays fragments over a base and returns what Kata will read.
func laid(t *testing.T, s handlers.Source) map[string]any {
	t.Helper()
	content, err := s.Render()
	require.NoError(t, err)
	config := map[string]any{}
	require.NoError(t, toml.Unmarshal(content, &config))
	return config
}

func named(contents ...string) []handlers.Fragment {
	var fragments []handlers.Fragment
	for i, content := range contents {
		fragments = append(fragments, handlers.Fragment{Name: string(rune('a'+i)) + ".toml", Content: []byte(content)})
	}
	return fragments
}

func rhcos() handlers.Paths {
	return handlers.Paths{
		QEMU: "/usr/libexec/qemu-kvm", MachineType: "q35", Virtiofsd: "/usr/libexec/virtiofsd",
		Kernel: "/usr/lib/modules/5.14/vmlinuz", Initrd: "/var/lib/kata-containers/guest/s/initrd",
	}
}

func TestConfigurationOfBothHandlersIsRenderedAsAgreedInBothDialects(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"go", "runtime-rs"} {
		source := handlers.Source{
			Base: read(t, dialect+"/base.toml"), Paths: rhcos(),
			Fragments: []handlers.Fragment{{Name: "50-memory.toml", Content: read(t, "50-memory.toml")}},
		}
		for file, render := range map[string]func() ([]byte, error){"configuration.toml": source.Render, "configuration-proof.toml": source.RenderProof} {
			content, err := render()
			require.NoError(t, err)
			assert.Equal(t, string(read(t, dialect+"/"+file)), string(content), file)
			again, err := render()
			require.NoError(t, err)
			assert.Equal(t, string(content), string(again), "%s is the same at every rendering", file)
		}
	}
}

func TestFragmentsAreLaidOverTheBaseInOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base      string
		fragments []string
		want      map[string]any
	}{
		"nothing":          {"a = 1\n", nil, map[string]any{"a": int64(1)}},
		"the later wins":   {"a = 1\n", []string{"a = 2\n", "a = 3\n"}, map[string]any{"a": int64(3)}},
		"tables are mixed": {"[t]\na = 1\nb = 1\n", []string{"[t]\nb = 2\nc = 2\n"}, map[string]any{"t": map[string]any{"a": int64(1), "b": int64(2), "c": int64(2)}}},
		"arrays replaced":  {"a = [1, 2]\n", []string{"a = [3]\n"}, map[string]any{"a": []any{int64(3)}}},
		"kinds replaced":   {"a = 1\n", []string{"[a]\nb = 2\n"}, map[string]any{"a": map[string]any{"b": int64(2)}}},
	} {
		config := laid(t, handlers.Source{Base: []byte(c.base), Fragments: named(c.fragments...)})
		delete(config, "runtime")
		assert.Equal(t, c.want, config, name)
	}
}

func TestTheProofHasNoNetworkWhateverFragmentsSay(t *testing.T) {
	t.Parallel()
	content, err := handlers.Source{
		Base: []byte("[runtime]\ninternetworking_model = 'tcfilter'\nenable_debug = true\n"), Fragments: named("[runtime]\ndisable_new_netns = false\n"),
	}.RenderProof()
	require.NoError(t, err)
	config := map[string]any{}
	require.NoError(t, toml.Unmarshal(content, &config))
	assert.Equal(t, map[string]any{"internetworking_model": "none", "disable_new_netns": true, "enable_debug": true, "sandbox_cgroup_only": true}, config["runtime"])
}

func TestWhatThePayloadBringsStays(t *testing.T) {
	t.Parallel()
	const base = "[hypervisor.qemu]\npath = '/p/qemu'\nkernel = '/p/vmlinux'\nimage = '/p/image'\nvirtio_fs_daemon = '/p/virtiofsd'\n"
	for name, c := range map[string]struct {
		paths   handlers.Paths
		changed map[string]any
	}{
		"nothing of the host's":          {handlers.Paths{MachineType: "q35"}, nil},
		"the host's QEMU":                {handlers.Paths{QEMU: "/q", MachineType: "q35"}, map[string]any{"path": "/q", "valid_hypervisor_paths": []any{"/q"}, "machine_type": "q35"}},
		"QEMU on a strange architecture": {handlers.Paths{QEMU: "/q"}, map[string]any{"path": "/q", "valid_hypervisor_paths": []any{"/q"}}},
		"the host's virtiofsd":           {handlers.Paths{Virtiofsd: "/v"}, map[string]any{"virtio_fs_daemon": "/v", "valid_virtio_fs_daemon_paths": []any{"/v"}}},
		"the host's kernel":              {handlers.Paths{Kernel: "/k"}, map[string]any{"kernel": "/k"}},
		"a guest made on the host":       {handlers.Paths{Initrd: "/i"}, map[string]any{"initrd": "/i", "image": "", "rootfs_type": ""}},
	} {
		want := map[string]any{"path": "/p/qemu", "kernel": "/p/vmlinux", "image": "/p/image", "virtio_fs_daemon": "/p/virtiofsd", "enable_annotations": []any{}}
		maps.Copy(want, c.changed)
		config := laid(t, handlers.Source{Base: []byte(base), Paths: c.paths})
		assert.Equal(t, map[string]any{"qemu": want}, config["hypervisor"], name)
	}
}

func TestGuestsOfAHostInFIPSModeRunInFIPSMode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base     string
		fragment string
		want     any
	}{
		"none":                       {"", "", "fips=1"},
		"the payload's":              {"kernel_params = 'agent.log=debug'\n", "", "agent.log=debug fips=1"},
		"an administrator's":         {"kernel_params = 'agent.log=debug'\n", "[hypervisor.qemu]\nkernel_params = 'quiet'\n", "quiet fips=1"},
		"the payload has decided":    {"kernel_params = 'fips=1 quiet'\n", "", "fips=1 quiet"},
		"an administrator decides":   {"", "[hypervisor.qemu]\nkernel_params = 'fips=0'\n", "fips=0"},
		"it is for Kata to complain": {"kernel_params = 3\n", "", int64(3)},
	} {
		source := handlers.Source{Base: []byte("[hypervisor.qemu]\npath = '/q'\n" + c.base), Fragments: named(c.fragment), FIPS: true}
		config := laid(t, source)
		want := map[string]any{"qemu": map[string]any{"path": "/q", "enable_annotations": []any{}, "kernel_params": c.want}}
		assert.Equal(t, want, config["hypervisor"], name)

		proof, err := source.RenderProof()
		require.NoError(t, err)
		config = map[string]any{}
		require.NoError(t, toml.Unmarshal(proof, &config))
		assert.Equal(t, want, config["hypervisor"], "the proof: %s", name)
	}
}

func TestOnlyTheTableOfQEMUGetsItsPath(t *testing.T) {
	t.Parallel()
	config := laid(t, handlers.Source{Base: []byte("[hypervisor.clh]\npath = '/p/clh'\n"), Paths: handlers.Paths{QEMU: "/q", Kernel: "/k"}})
	assert.Equal(t, map[string]any{"clh": map[string]any{"path": "/p/clh", "kernel": "/k", "enable_annotations": []any{}}}, config["hypervisor"])
	config = laid(t, handlers.Source{Base: []byte("hypervisor = 1\n"), Paths: handlers.Paths{QEMU: "/q"}})
	assert.Equal(t, map[string]any{"qemu": map[string]any{"path": "/q", "valid_hypervisor_paths": []any{"/q"}, "enable_annotations": []any{}}}, config["hypervisor"], "a base without any")
}

func TestAnAdministratorMayOpenAnnotationsAndNameOtherFiles(t *testing.T) {
	t.Parallel()
	config := laid(t, handlers.Source{
		Base: []byte("[hypervisor.qemu]\nenable_annotations = ['.*']\n"), Paths: handlers.Paths{QEMU: "/q"},
		Fragments: named("[hypervisor.qemu]\npath = '/mine'\nenable_annotations = ['default_vcpus']\n[runtime]\nsandbox_cgroup_only = false\n"),
	})
	assert.Equal(t, map[string]any{"qemu": map[string]any{
		"path": "/mine", "valid_hypervisor_paths": []any{"/q"}, "enable_annotations": []any{"default_vcpus"},
	}}, config["hypervisor"])
	assert.Equal(t, map[string]any{"sandbox_cgroup_only": false}, config["runtime"])
}

func TestTheFilesOfAConfigurationAreListed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		want   []handlers.Named
	}{
		"none":                  {"a = '/x'\n", nil},
		"empty names":           {"[hypervisor.qemu]\npath = ''\npflashes = []\n", nil},
		"lists of valid values": {"[hypervisor.qemu]\nvalid_hypervisor_paths = ['/opt/*']\nentropy_source = '/dev/urandom'\n", nil},
		"each in order": {
			"[hypervisor.qemu]\npath = '/q'\ninitrd = '/i'\n[hypervisor.clh]\nkernel = '/k'\n",
			[]handlers.Named{{Key: "hypervisor.clh.kernel", Path: "/k"}, {Key: "hypervisor.qemu.initrd", Path: "/i"}, {Key: "hypervisor.qemu.path", Path: "/q"}},
		},
		"a list": {"[hypervisor.qemu]\npflashes = ['/a', '/b']\n", []handlers.Named{{Key: "hypervisor.qemu.pflashes[0]", Path: "/a"}, {Key: "hypervisor.qemu.pflashes[1]", Path: "/b"}}},
		"tables": {
			"[[hypervisor.qemu.guest_extension_images]]\nname = 'n'\npath = '/e'\n",
			[]handlers.Named{{Key: "hypervisor.qemu.guest_extension_images[0].path", Path: "/e"}},
		},
		"a daemon that shares files": {"[hypervisor.qemu]\nvirtio_fs_daemon = '/v'\n", []handlers.Named{{Key: "hypervisor.qemu.virtio_fs_daemon", Path: "/v"}}},
		"a daemon that is not used":  {"[hypervisor.qemu]\nshared_fs = 'none'\nvirtio_fs_daemon = '/v'\n", nil},
	} {
		files, err := handlers.FilesOf([]byte(c.config))
		require.NoError(t, err)
		assert.Equal(t, c.want, files, name)
	}
	_, err := handlers.FilesOf([]byte("a = "))
	require.ErrorContains(t, err, "reading the rendered configuration: ")
}

func TestBadTOMLIsNamed(t *testing.T) {
	t.Parallel()
	_, err := handlers.Source{Base: []byte("a = ")}.Render()
	require.ErrorContains(t, err, "reading the payload's base configuration: ")
	_, err = handlers.Source{Base: []byte("a = 1"), Fragments: named("b = 1", "c = [")}.RenderProof()
	assert.ErrorContains(t, err, "reading configuration fragment b.toml: ")
}

func TestFingerprintChangesWithContentNameAndOrder(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, fragments := range map[string][]handlers.Fragment{
		"none":      nil,
		"one":       {{Name: "a", Content: []byte("x = 1\n")}},
		"content":   {{Name: "a", Content: []byte("x = 2\n")}},
		"name":      {{Name: "b", Content: []byte("x = 1\n")}},
		"two":       {{Name: "a", Content: []byte("x = 1\n")}, {Name: "b"}},
		"order":     {{Name: "b"}, {Name: "a", Content: []byte("x = 1\n")}},
		"imitation": {{Name: "a", Content: []byte("x = 1\n\nb\n")}},
	} {
		sum := handlers.Fingerprint(fragments)
		assert.Equal(t, sum, handlers.Fingerprint(fragments))
		assert.NotContains(t, seen, sum, "%s and %s", name, seen[sum])
		seen[sum] = name
	}
}
