// SPDX-License-Identifier: Apache-2.0

package difference_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/difference"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/overview"
	"github.com/kata-node/kata-node/payload/transport"
)

const (
	shim     = "usr/bin/containerd-shim-kata-v2"
	config   = "usr/share/configuration.toml"
	firmware = "usr/share/guest/firmware"
	kernel   = "usr/share/guest/vmlinuz"
)

// noise does not compress, and is the same for the same seed.
func noise(seed byte, size int) string {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content) //nolint:errcheck // It never fails.
	return string(content)
}

func content() map[string]string {
	return map[string]string{shim: noise(1, 300_000), config: "[runtime]\n", firmware: noise(2, 50_000), kernel: noise(3, 200_000)}
}

// input is a payload of three components and the manifest.
func input(version string) assemble.Input {
	return assemble.Input{Description: assemble.Description{
		Name: "kata-test", Version: version, Architecture: "amd64", ShimCompatibility: "test-1",
		Handlers:   []assemble.Handler{{Name: "kata-oc", Type: "vm", Shim: shim, Config: config, Dialect: "go"}},
		Components: []assemble.Component{{Name: "guest", Version: "1", Paths: []string{"usr/share/guest"}}, {Name: "shim", Version: version, Paths: []string{"usr/bin"}}, {Name: "config", Version: "1"}},
	}}
}

// image builds a payload, and reads it back from where it was published.
func image(t *testing.T, in assemble.Input, files map[string]string) difference.Image {
	t.Helper()
	in.Tree, in.WorkDir = t.TempDir(), t.TempDir()
	for file, content := range files {
		name := filepath.Join(in.Tree, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o755))
	}
	p, err := assemble.Build(t.Context(), in)
	require.NoError(t, err)
	target, err := transport.ParseTarget("oci:" + t.TempDir() + ":v1")
	require.NoError(t, err)
	_, err = transport.Push(t.Context(), p.Image, target, transport.Options{})
	require.NoError(t, err)
	opened, err := transport.Open(t.Context(), target, transport.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close()) }()
	out, err := overview.Layers(t.Context(), opened, "amd64")
	require.NoError(t, err)
	return out
}

func between(t *testing.T, from, to difference.Image) (d difference.Difference, by map[string]difference.Component) {
	t.Helper()
	d, err := difference.Between(from, to)
	require.NoError(t, err)
	by = map[string]difference.Component{}
	for _, c := range d.Components {
		by[c.Name] = c
	}
	return d, by
}

func TestTheSamePayloadTakesItsDocumentsOnly(t *testing.T) {
	t.Parallel()
	p := image(t, input("1"), content())
	d, _ := between(t, p, p)
	assert.Equal(t, difference.Transfer{Size: d.Total.Size, Fetched: p.Documents, WithoutClones: p.Documents, Whole: p.Documents}, d.Total)
	assert.Equal(t, []string{`Shim compatibility stays "test-1": each shim reaches the sandboxes of the other.`}, d.Changes)
}

func TestFilesThatAreThereAreLinked(t *testing.T) {
	t.Parallel()
	first := image(t, input("1"), content())
	files := content()
	files[firmware] = noise(4, 50_000)
	second := image(t, input("2"), files)
	d, by := between(t, first, second)

	assert.Equal(t, 1, by["guest"].NewFiles)
	assert.Equal(t, 1, by["guest"].LinkedFiles)
	assert.EqualValues(t, 50_000, by["guest"].Written)
	assert.InDelta(t, 52_000, by["guest"].Fetched, 2000)
	assert.Equal(t, first.Layers[1].Digest, second.Layers[1].Digest, "the shim's layer lies on another one")
	assert.Equal(t, 1, by["shim"].LinkedFiles)
	assert.Zero(t, by["shim"].Written)
	assert.Less(t, by["shim"].Fetched, int64(2000), "its table of contents")
	assert.Zero(t, by["shim"].Whole, "it is copied from where it is")
	assert.EqualValues(t, 300_000, by["shim"].WrittenWhole)
	assert.EqualValues(t, 250_000, by["guest"].WrittenWhole)
	assert.Less(t, d.Total.Fetched, int64(65_000))
	assert.Greater(t, d.Total.Whole, int64(250_000))
	assert.Equal(t, "1", by["shim"].From)
	assert.Equal(t, "2", by["shim"].To)
	assert.Contains(t, d.Changes, "Component shim changes from version 1 to version 2.")
}

// A layer that lies on another one than before is made again, and then the library asks for the
// tables of all layers.
func TestTablesOfLayersBelowComeAgainWhereOneAboveIsMadeAgain(t *testing.T) {
	t.Parallel()
	first := image(t, input("1"), content())
	files := content()
	files[shim] = noise(5, 300_000)
	_, by := between(t, first, image(t, input("1"), files))
	assert.Equal(t, first.Layers[0].Described, by["guest"].Fetched)
	assert.Equal(t, first.Layers[0].Described, by["guest"].WithoutClones)
	assert.Zero(t, by["guest"].Whole+by["guest"].Written)
	assert.Zero(t, by["guest"].NewFiles+by["guest"].LinkedFiles)
	assert.Equal(t, 1, by["config"].LinkedFiles, "it lies on another shim now")

	files = content()
	files[config] = "[hypervisor]\n"
	d, by := between(t, first, image(t, input("1"), files))
	assert.Zero(t, by["guest"].Fetched, "nothing that is there lies above the configuration")
	assert.Less(t, d.Total.Fetched, int64(10_000))
}

func TestPartsOfAFileThatAreThereAreNotFetchedWhereTheyCanBeCloned(t *testing.T) {
	t.Parallel()
	files := content()
	files[kernel] = noise(5, 4<<20)
	first := image(t, input("1"), files)
	files = maps.Clone(files)
	files[kernel] = files[kernel][:3<<20] + noise(6, 1<<20)
	_, by := between(t, first, image(t, input("2"), files))
	assert.Less(t, by["guest"].Fetched, int64(3<<20))
	assert.Greater(t, by["guest"].WithoutClones, int64(4<<20))
	assert.EqualValues(t, 4<<20, by["guest"].Written)
}

func TestAFileOfAnotherModeIsWrittenAgain(t *testing.T) {
	t.Parallel()
	first := image(t, input("1"), content())
	second := image(t, input("1"), content())
	changed := second.Layers[1]
	changed.Digest = "sha256:other"
	changed.Contents = []byte(`{"version":1,"entries":[{"type":"reg","name":"a","size":3,"mode":420,"digest":"sha256:same","offset":1,"endOffset":9}]}`)
	second.Layers[1] = changed
	old := changed
	old.Contents = []byte(`{"version":1,"entries":[{"type":"reg","name":"a","size":3,"mode":493,"digest":"sha256:same","offset":1,"endOffset":9}]}`)
	first.Layers[1] = old
	first.Layers[1].Digest = "sha256:one"
	_, by := between(t, first, second)
	assert.Equal(t, 1, by["shim"].NewFiles)
	assert.EqualValues(t, 3, by["shim"].Written)
}

func TestLayersWithoutATableOfContentsAreMovedWhole(t *testing.T) {
	t.Parallel()
	old, next := input("1"), input("2")
	old.Compression, next.Compression = assemble.Gzip, assemble.Gzip
	first, files := image(t, old, content()), content()
	files[firmware] = noise(4, 50_000)
	second := image(t, next, files)
	d, by := between(t, first, second)
	assert.Equal(t, second.Layers[0].Size, by["guest"].Fetched)
	assert.Zero(t, by["shim"].Fetched)
	assert.EqualValues(t, 300_000, by["shim"].Written, "all above the one that changed")
	assert.Equal(t, d.Total.Whole, d.Total.Fetched)

	// A store that has gzip layers knows nothing of the files in them.
	_, by = between(t, first, image(t, input("2"), files))
	assert.Zero(t, by["guest"].LinkedFiles)
	assert.EqualValues(t, 250_000, by["guest"].Written)
}

func TestAllElseThatChangesIsSaid(t *testing.T) {
	t.Parallel()
	first := image(t, input("1"), content())
	second := image(t, input("1"), content())
	m := &second.Manifest
	m.Name, m.PayloadVersion, m.ShimCompatibility, m.Prefix = "kata", "2", "test-2", "/opt/kata"
	m.OpenShift, m.Kubernetes = ">=4.17", ">=1.30"
	m.Requires.QEMU, m.Requires.OldestKernel = true, "5.14"
	first.Manifest.Requires.Kernel = true
	m.Components[0].Version = ""
	m.Components[2].Name = "settings"
	second.Layers[2].Component = "settings"
	m.Handlers[0].Dialect = manifest.DialectRuntimeRS
	m.Handlers = append(m.Handlers, manifest.Handler{Name: "kata-oc-rs", Type: "vm", Shim: shim, Config: config, Dialect: "runtime-rs"})
	first.Manifest.Handlers = append(first.Manifest.Handlers, manifest.Handler{Name: "kata-old"})
	rpm := manifest.Package{Set: "host", Name: "qemu-kvm-core", Epoch: 17, Version: "10.1.0", Release: "1.el9", Architecture: "x86_64"}
	first.Manifest.Packages = []manifest.Package{rpm}
	rpm.Release = "2.el9"
	m.Packages = []manifest.Package{rpm}
	m.PackageSets = []manifest.PackageSet{{Name: "host", Systems: []manifest.System{{ID: "rhel", Version: "9"}, {ID: "rhcos", Version: "4.18"}}}}
	d, by := between(t, first, second)
	assert.Equal(t, []string{
		"The payload's name changes from kata-test to kata.",
		"The payload's version changes from 1 to 2.",
		"Component guest changes from version 1 to without a version.",
		"Component settings is added, version 1.",
		"Component config, version 1, is removed.",
		"Handler kata-oc changes from vm, go dialect, usr/bin/containerd-shim-kata-v2, usr/share/configuration.toml to vm, runtime-rs dialect, usr/bin/containerd-shim-kata-v2, usr/share/configuration.toml.",
		"Handler kata-oc-rs is added: vm, runtime-rs dialect, usr/bin/containerd-shim-kata-v2.",
		"Handler kata-old is removed.",
		`Shim compatibility changes from "test-1" to "test-2": the new shim cannot reach sandboxes that run, and a node keeps the old payload current until they have ended.`,
		"The host must bring QEMU from now on.",
		"The host need not bring a kernel for the guest any more.",
		"The oldest kernel that the host may run changes from any to 5.14.",
		"The versions of OpenShift that it is made for change from any to >=4.17.",
		"The versions of Kubernetes that it is made for change from any to >=1.30.",
		"The prefix of the base configuration changes from none to /opt/kata.",
		"RPM packages are added: qemu-kvm-core-17:10.1.0-2.el9.x86_64 (set host).",
		"RPM packages are removed: qemu-kvm-core-17:10.1.0-1.el9.x86_64 (set host).",
		"RPM set host changes from one for every system to one for rhel 9, rhcos 4.18.",
	}, d.Changes)
	assert.Equal(t, difference.Component{Name: "config", From: "1"}, by["config"])
}

func TestChangesOfTheGuestAreSaid(t *testing.T) {
	t.Parallel()
	old := &manifest.Guest{Initrd: "a", Modules: []string{"virtiofs"}, OptionalModules: []string{"9p"}}
	next := &manifest.Guest{Initrd: "b", Modules: []string{"virtiofs", "vsock"}, Kernel: "k"}
	p := image(t, input("1"), content())
	for _, c := range []struct {
		from, to *manifest.Guest
		want     []string
	}{
		{old, old, []string{}},
		{nil, old, []string{"The host makes the guest's initrd from now on, of a and modules of its kernel."}},
		{old, nil, []string{"The host does not make the guest's initrd any more."}},
		{old, next, []string{
			"The guest's base initrd changes from a to b.", "The guest's own kernel changes from none to k.",
			"The guest's modules change from virtiofs to virtiofs, vsock.", "The guest's optional modules change from 9p to none.",
		}},
	} {
		first, second := p, p
		first.Manifest.Guest, second.Manifest.Guest = c.from, c.to
		d, _ := between(t, first, second)
		assert.Equal(t, c.want, slices.DeleteFunc(d.Changes, func(sentence string) bool { return strings.HasPrefix(sentence, "Shim compat") }))
	}
}

func TestWhatIsNotComparableIsRefused(t *testing.T) {
	t.Parallel()
	good := image(t, input("1"), content())
	for problem, contents := range map[string]string{
		`table of contents of layer "guest": unexpected end of JSON input`: `{`,
		`table of contents of layer "guest" has version 2: 1 is known`:     `{"version": 2}`,
		`table of contents of layer "guest": "a" lies outside the layer`:   `{"version": 1, "entries": [{"type": "reg", "name": "a", "endOffset": 1000000000}]}`,
	} {
		bad := good
		bad.Layers = append([]difference.Layer{good.Layers[0]}, good.Layers[1:]...)
		bad.Layers[0].Contents, bad.Layers[0].Digest = []byte(contents), "sha256:bad"
		_, err := difference.Between(good, bad)
		require.ErrorContains(t, err, problem)
		_, err = difference.Between(bad, good)
		require.ErrorContains(t, err, problem)
	}
	foreign := good
	foreign.Layers = good.Layers[:1]
	_, err := difference.Between(good, foreign)
	require.EqualError(t, err, "comparing payload kata-test 1 with kata-test 1: the new one has 1 layers for 3 components: kata-payload builds one for each, and one for the manifest")
}
