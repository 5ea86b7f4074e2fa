// SPDX-License-Identifier: Apache-2.0

package assemble_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
)

const text = `
name = "kata-test"
version = "1.0.0"
architecture = "amd64"
prefix = "/opt/kata"
shimCompatibility = "test-1"

[requires]
qemu = true

[guest]
initrd = "usr/share/base.initrd"
modules = ["virtiofs"]
optionalModules = ["9p"]
kernel = "usr/share/vmlinuz"

[[handlers]]
name = "kata-oc"
type = "vm"
shim = "usr/bin/containerd-shim-kata-v2"
config = "usr/share/defaults/configuration.toml"
dialect = "go"

[[components]]
name = "shim"
paths = ["usr/bin"]
`

func TestADescriptionIsRead(t *testing.T) {
	t.Parallel()
	d, err := assemble.ParseDescription([]byte(text))
	require.NoError(t, err)
	want := description()
	want.Prefix = "/opt/kata"
	want.Requires.QEMU = true
	want.Guest = &assemble.Guest{Initrd: "usr/share/base.initrd", Modules: []string{"virtiofs"}, OptionalModules: []string{"9p"}, Kernel: "usr/share/vmlinuz"}
	want.Components = []assemble.Component{{Name: "shim", Paths: []string{"usr/bin"}}}
	assert.Equal(t, want, d)
}

func TestADescriptionWithAMistakeIsRefusedByLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":   {text + "path = 1\n", `reading description: line 27: unknown key "components.path"`},
		"wrong type":    {text + "version = 1\n", "reading description: line 27, column "},
		"no TOML":       {"name: x", "reading description: line 1, column "},
		"defined twice": {text + "[requires]\n", "requires"},
	} {
		_, err := assemble.ParseDescription([]byte(test.text))
		require.ErrorContains(t, err, test.want, name)
		assert.NotContains(t, err.Error(), "\n", name)
	}
}

func TestKeysOfADescriptionCanBeOverridden(t *testing.T) {
	t.Parallel()
	d := description()
	require.NoError(t, d.Set("version", "2.0.0"))
	require.NoError(t, d.Set("shimCompatibility", "test-2"))
	assert.Equal(t, "2.0.0", d.Version)
	assert.Equal(t, "test-2", d.ShimCompatibility)
	assert.EqualError(t, d.Set("handlers", "x"),
		`setting "handlers" in the description: the keys that can be set are architecture, kubernetes, name, openshift, shimCompatibility, version`)
}

func FuzzParseDescription(f *testing.F) {
	f.Add([]byte(text))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := assemble.ParseDescription(text); err != nil {
			require.ErrorContains(t, err, "reading description: ")
		}
	})
}
