// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/manifest"
)

// sets returns a manifest with one package in each of these sets, and what the sets are for.
func sets(packaged []string, declared ...manifest.PackageSet) manifest.Manifest {
	m := valid()
	for _, set := range packaged {
		p := manifest.Package{Set: set, Name: "qemu-kvm-core", Version: "10.1.0", Release: "1", Architecture: "x86_64"}
		p.Path = manifest.PackageDir + "/" + set + "/" + p.FileName()
		m.Packages = append(m.Packages, p)
		add(regular(p.Path))(&m)
	}
	m.PackageSets = declared
	return m
}

func set(name string, systems ...manifest.System) manifest.PackageSet {
	return manifest.PackageSet{Name: name, Systems: systems}
}

func TestSetsForDifferentSystemsAreOnePayload(t *testing.T) {
	t.Parallel()
	m := sets([]string{"el9", "f42", "f43", "iot"},
		set("el9", manifest.System{ID: "rhel", Version: "9"}, manifest.System{ID: "rhcos", Version: "4.18"}), set("f42", manifest.System{ID: "fedora", Version: "42", Variant: "coreos"}),
		set("f43", manifest.System{ID: "fedora", Version: "43"}), set("iot", manifest.System{ID: "fedora", Version: "42", Variant: "iot"}))
	document, err := manifest.Encode(m)
	require.NoError(t, err)
	read, err := manifest.Decode(document)
	require.NoError(t, err)
	assert.Equal(t, m.PackageSets, read.PackageSets)
	assert.Equal(t, "fedora 42 (coreos)", read.SystemsOf("f42")[0].String())
	assert.Empty(t, read.SystemsOf("none"))
	require.NoError(t, sets([]string{"host"}).Validate(), "one set for every system")
}

func TestAHostIsOneOfASetsSystems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		system               manifest.System
		id, version, variant string
		want                 bool
	}{
		{manifest.System{ID: "rhel", Version: "9"}, "rhel", "9.6", "coreos", true},
		{manifest.System{ID: "rhel", Version: "9.6"}, "rhel", "9.6", "", true},
		{manifest.System{ID: "rhel", Version: "9.6"}, "rhel", "9.60", "", false},
		{manifest.System{ID: "rhel", Version: "9.6"}, "rhel", "9", "", false},
		{manifest.System{ID: "rhel", Version: "9"}, "centos", "9", "", false},
		{manifest.System{ID: "fedora"}, "fedora", "", "", true},
		{manifest.System{ID: "fedora", Version: "4"}, "fedora", "42", "", false},
		{manifest.System{ID: "fedora", Variant: "coreos"}, "fedora", "42", "coreos", true},
		{manifest.System{ID: "fedora", Variant: "coreos"}, "fedora", "42", "", false},
		{manifest.System{ID: "fedora"}, "", "", "", false},
	} {
		assert.Equal(t, c.want, c.system.Is(c.id, c.version, c.variant), "%+v", c)
	}
}

func TestSetsAmongWhichAHostCouldNotChooseAreNamed(t *testing.T) {
	t.Parallel()
	fedora := func(version, variant string) manifest.System {
		return manifest.System{ID: "fedora", Version: version, Variant: variant}
	}
	two := []string{"a", "b"}
	for want, m := range map[string]manifest.Manifest{
		`package sets "a" and "b" are both for every system: a host layers one set`: sets(two),
		`package sets "a" and "b" are both for fedora 42: `:                         sets(two, set("a", fedora("42", ""))),
		`package sets "a" and "b" are both for fedora 43: `:                         sets(two, set("a", fedora("42", ""), fedora("43", "")), set("b", fedora("43", ""))),
		`are both for fedora 9.6: `:                                                 sets(two, set("a", fedora("9", "")), set("b", fedora("9.6", ""))),
		`are both for fedora 9.4: `:                                                 sets(two, set("a", fedora("9.4", "")), set("b", fedora("", ""))),
		`are both for fedora 42 (coreos): `:                                         sets(two, set("a", fedora("42", "coreos")), set("b", fedora("42", "coreos"))),
		`are both for fedora 42`:                                                    sets(two, set("a", fedora("42", "coreos")), set("b", fedora("42", ""))),
		`package set "c" has no packages`:                                           sets(two[:1], set("c", fedora("42", ""))),
		`package set "a" is listed twice`:                                           sets(two[:1], set("a", fedora("42", "")), set("a", fedora("43", ""))),
		`package set "a": no systems: leave it out`:                                 sets(two[:1], set("a")),
		`package set "a": id "" does not have the form`:                             sets(two[:1], set("a", manifest.System{})),
		`package set "a": version ">=42" does not have the form`:                    sets(two[:1], set("a", fedora(">=42", ""))),
		`package set "a": variant "CoreOS" does not have the form`:                  sets(two[:1], set("a", fedora("", "CoreOS"))),
	} {
		err := m.Validate()
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n")
	}
	require.NoError(t, sets(two, set("a", fedora("4", "")), set("b", fedora("42", ""))).Validate(), "the first part of 42 is 42")
}
