// SPDX-License-Identifier: Apache-2.0

package configuration_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/configuration"
	"github.com/kata-node/kata-node/payload/manifest"
)

const mount = "/run/kata-agent/slots/0123/payload"

// upstream is a payload as Kata's own archives unpack.
func upstream(paths ...string) manifest.Manifest {
	m := manifest.Manifest{Prefix: "/opt/kata"}
	for _, p := range append([]string{
		"opt/kata/bin/qemu-system-x86_64", "opt/kata/libexec/virtiofsd", "opt/kata/share/kata-containers/kata-6.12.img",
		"opt/kata/share/kata-containers/vmlinux-6.12",
	}, paths...) {
		m.Files = append(m.Files, manifest.File{Path: p, Mode: 0o755})
	}
	m.Files = sorted(append(m.Files, manifest.File{Path: "opt/kata/share/kata-containers/vmlinux.container", Link: "vmlinux-6.12"}))
	return m
}

func sorted(files []manifest.File) []manifest.File {
	return slices.SortedFunc(slices.Values(files), func(a, b manifest.File) int { return strings.Compare(a.Path, b.Path) })
}

func rendered(t *testing.T, base string, m manifest.Manifest) map[string]any {
	t.Helper()
	text, err := configuration.Render([]byte(base), m, mount)
	require.NoError(t, err)
	require.NoError(t, configuration.Check([]byte(base), m))
	config := map[string]any{}
	require.NoError(t, toml.Unmarshal(text, &config))
	return config
}

// hypervisor returns what is rendered for one hypervisor.
func hypervisor(t *testing.T, base, name string) any {
	t.Helper()
	all, ok := rendered(t, base, upstream())["hypervisor"].(map[string]any)
	require.True(t, ok)
	return all[name]
}

const upstreamGo = `
[hypervisor.qemu]
path = "/opt/kata/bin/qemu-system-x86_64"
kernel = "/opt/kata/share/kata-containers/vmlinux.container"
image = "/opt/kata/share/kata-containers/kata-6.12.img"
firmware = ""
valid_hypervisor_paths = ["/opt/kata/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm"]
valid_virtio_fs_daemon_paths = ["/opt/kata/libexec/*"]
entropy_source = "/dev/urandom"
default_vcpus = 1
kernel_params = "systemd.unit=kata.target /opt/kata"
[runtime]
`

const upstreamRust = `
[hypervisor.dragonball]
path = "/opt/kata/bin/qemu-system-x86_64"
[[hypervisor.dragonball.devices]]
file = "/opt/kata/libexec/virtiofsd"
nested = [["/opt/kata/share"]]
`

func TestNamesOfTheGoDialectLeadIntoThePayload(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[string]any{
		"path":                         mount + "/opt/kata/bin/qemu-system-x86_64",
		"kernel":                       mount + "/opt/kata/share/kata-containers/vmlinux.container",
		"image":                        mount + "/opt/kata/share/kata-containers/kata-6.12.img",
		"firmware":                     "",
		"valid_hypervisor_paths":       []any{mount + "/opt/kata/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm"},
		"valid_virtio_fs_daemon_paths": []any{mount + "/opt/kata/libexec/*"},
		"entropy_source":               "/dev/urandom",
		"default_vcpus":                int64(1),
		"kernel_params":                "systemd.unit=kata.target /opt/kata",
	}, hypervisor(t, upstreamGo, "qemu"))
}

func TestNamesOfTheRustDialectLeadIntoThePayload(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[string]any{
		"path": mount + "/opt/kata/bin/qemu-system-x86_64",
		"devices": []any{map[string]any{
			"file":   mount + "/opt/kata/libexec/virtiofsd",
			"nested": []any{[]any{mount + "/opt/kata/share"}},
		}},
	}, hypervisor(t, upstreamRust, "dragonball"))
}

func TestAPayloadMayHaveItsPrefixAsItsRoot(t *testing.T) {
	t.Parallel()
	m := manifest.Manifest{Prefix: "/opt/kata", Files: []manifest.File{{Path: "bin/qemu", Mode: 0o755}}}
	assert.Equal(t, map[string]any{"path": mount + "/bin/qemu"}, rendered(t, `path = "/opt/kata/bin/qemu"`, m))
	assert.Equal(t, map[string]any{"path": mount}, rendered(t, `path = "/opt/kata"`, m))
}

func TestWithoutAPrefixEveryNameIsTheHosts(t *testing.T) {
	t.Parallel()
	m := upstream()
	m.Prefix = ""
	text, err := configuration.Render([]byte(upstreamGo), m, mount)
	require.NoError(t, err)
	assert.Equal(t, upstreamGo, string(text))
}

func TestOnlyWholeNamesBelowThePrefixAreTranslated(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"/opt/kata-other/bin/x", "/opt/katabin", "opt/kata/bin/x", "see /opt/kata/bin/x", "/opt", "/var/opt/kata/bin/x"} {
		assert.Equal(t, map[string]any{"a": text}, rendered(t, `a = "`+text+`"`, upstream()), text)
	}
}

func TestANameThatThePayloadLacksIsRefusedByItsKey(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"[hypervisor.qemu]\npath = '/opt/kata/bin/qemu'":             `hypervisor.qemu.path is "/opt/kata/bin/qemu"`,
		"[a]\nb = ['', '/opt/kata/none']":                            `a.b[1] is "/opt/kata/none"`,
		"[[a]]\nb = '/opt/kata/none'":                                `a[0].b is "/opt/kata/none"`,
		"b = '/opt/kata/none'\na = '/opt/kata/nothing'":              `a is "/opt/kata/nothing"`,
		"a = '/opt/kata/libexec/no*'":                                `a is "/opt/kata/libexec/no*"`,
		"a = '/opt/kata/../../etc/shadow'":                           `a is "/opt/kata/../../etc/shadow"`,
		"a = '/opt/kata/../opt/kata/../x'":                           `a is "/opt/kata/../opt/kata/../x"`,
		"a = '/opt/kata/bin/qemu-system-x86_64/below-a-file'":        `a is "/opt/kata/bin/qemu-system-x86_64/below-a-file"`,
		"a = '/opt/kata/dangling'":                                   `a is "/opt/kata/dangling"`,
		"a = '/opt/kata/share/kata-containers/vmlinux.container/..'": "",
	} {
		m := upstream()
		m.Files = append([]manifest.File{{Path: "opt/kata/dangling", Link: "gone"}}, m.Files...)
		m.Files = sorted(m.Files)
		_, err := configuration.Render([]byte(base), m, mount)
		if want == "" {
			require.NoError(t, err, base)
			continue
		}
		require.ErrorContains(t, err, want, base)
		require.ErrorContains(t, err, `the payload has nothing of that name below its prefix "/opt/kata"`)
		assert.Equal(t, err, configuration.Check([]byte(base), m))
	}
}

func TestWhatIsNotTOMLIsRefused(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, configuration.Check([]byte("a = "), upstream()), "reading the payload's base configuration: ")
}

func FuzzRenderedNamesStayInThePayload(f *testing.F) {
	f.Add("/opt/kata/bin/qemu-system-x86_64")
	f.Add("/opt/kata/../../etc/shadow")
	f.Add("/opt/kata//share/./x/../kata-containers")
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, name string) {
		base, err := toml.Marshal(map[string]any{"a": name})
		if err != nil || !utf8.ValidString(name) { // TOML is UTF-8: the library writes other bytes as characters.
			return
		}
		text, err := configuration.Render(base, upstream(), mount)
		if err != nil {
			return
		}
		config := map[string]any{}
		require.NoError(t, toml.Unmarshal(text, &config))
		got, ok := config["a"].(string)
		assert.True(t, ok)
		if strings.HasPrefix(name, "/opt/kata/") {
			assert.True(t, strings.HasPrefix(got, mount+"/"), got)
			assert.NotContains(t, strings.Split(got, "/"), "..")
		} else if name != "/opt/kata" {
			assert.Equal(t, name, got)
		}
	})
}
