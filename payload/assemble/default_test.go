// SPDX-License-Identifier: Apache-2.0

package assemble_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/manifest"
)

func TestTheDefaultPayloadAsksNothingOfTheHost(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../test/payload/payload.toml")
	require.NoError(t, err)
	d, err := assemble.ParseDescription(text)
	require.NoError(t, err)
	tree := t.TempDir()
	require.NoError(t, os.CopyFS(tree, os.DirFS("../../test/payload/tree")))
	put(t, tree, shim, "any program", 0o755)
	p := mustBuild(t, assemble.Input{Tree: tree, Description: d, WorkDir: t.TempDir()})
	assert.Equal(t, manifest.Requires{}, p.Manifest.Requires)
	assert.Equal(t, runtime.GOARCH, p.Manifest.Architecture)
	h, found := p.Manifest.Handler("kata-oc")
	assert.True(t, found)
	assert.Equal(t, manifest.Handler{
		Name: "kata-oc", Type: manifest.TypeVM, Shim: shim, Dialect: manifest.DialectGo,
		Config: "usr/share/kata-containers/defaults/configuration.toml",
	}, h)
}

func TestWhatTheHostBringsIsForVirtualMachines(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	require.NoError(t, os.CopyFS(tree, os.DirFS("../../test/payload/tree")))
	put(t, tree, shim, "any program", 0o755)
	text, err := os.ReadFile("../../test/payload/payload.toml")
	require.NoError(t, err)
	d, err := assemble.ParseDescription(text)
	require.NoError(t, err)
	yes, no := true, false
	for _, c := range []struct {
		says *bool
		qemu bool
		want manifest.Requires
	}{
		{nil, true, manifest.Requires{KVM: true, QEMU: true}},
		{&no, true, manifest.Requires{QEMU: true}},
		{&yes, false, manifest.Requires{KVM: true}},
	} {
		d.Requires = assemble.Requires{KVM: c.says, QEMU: c.qemu}
		assert.Equal(t, c.want, mustBuild(t, assemble.Input{Tree: tree, Description: d, WorkDir: t.TempDir()}).Manifest.Requires)
	}
}
