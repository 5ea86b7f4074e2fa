// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/source"
)

const head = `name = "kata"
kata = "4.2.0"
shimCompatibility = "kata-4"
`

func TestUpstreamsNamesSayWhatAnArchiveHolds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, kata, architecture, shim string }{
		{"kata-go-static-4.2.0-amd64.tar.zst", "4.2.0", "amd64", source.ShimGo},
		{"kata-static-4.2.0-amd64.tar.zst", "4.2.0", "amd64", source.ShimRuntimeRS},
		{"kata-static-4.1.0-s390x.tar.zst", "4.1.0", "s390x", source.ShimRuntimeRS},
		{"kata-static-4.0.0-arm64.tar.zst", "4.0.0", "arm64", source.ShimBoth},
		{"kata-static-3.20.0-amd64.tar.xz", "3.20.0", "amd64", source.ShimBoth},
		{"kata-static-3.1.3-x86_64.tar.xz", "3.1.3", "amd64", source.ShimBoth},
		{"kata-static-4.2.0-rc0-aarch64.tar.zst", "4.2.0-rc0", "arm64", source.ShimRuntimeRS},
	} {
		text := strings.Replace(head, "4.2.0", test.kata, 1) + "[[archives]]\nurl = \"https://example.com/download/" + test.name + "\"\n"
		s, err := source.Parse([]byte(text))
		require.NoError(t, err, test.name)
		assert.Equal(t, test.architecture, s.Archives[0].Architecture, test.name)
		assert.Equal(t, test.shim, s.Archives[0].Shim, test.name)
	}
}

func TestWhatContradictsItselfIsRefused(t *testing.T) {
	t.Parallel()
	const goArchive = "[[archives]]\nfile = \"kata-go-static-4.2.0-amd64.tar.zst\"\n"
	for want, text := range map[string]string{
		`line 4: unknown key "archive"`:                                           head + "[[archive]]\n",
		`line 5: unknown key "archives.sha"`:                                      head + "[[archives]]\nsha = \"\"\n",
		"line 2, column 8: toml: ":                                                "name = \"kata\"\nkata = x\n",
		`kata is "4.2": must be a version of Kata such as 4.2.0`:                  strings.Replace(head, "4.2.0", "4.2", 1),
		"name and shimCompatibility are needed":                                   "kata = \"4.2.0\"",
		`its name says version 4.1.0, and kata is "4.2.0"`:                        head + strings.Replace(goArchive, "4.2.0", "4.1.0", 1),
		`its name says architecture amd64, and architecture is "arm64"`:           head + goArchive + "architecture = \"arm64\"\n",
		`architecture "riscv64" is none of upstream's`:                            head + strings.Replace(goArchive, "amd64", "riscv64", 1),
		`archive unpacked: shim is "", must be go, runtime-rs or both`:            head + "[[archives]]\ndirectory = \"unpacked\"\n",
		`architecture is "x86_64", must be amd64, arm64, s390x or ppc64le`:        head + "[[archives]]\ndirectory = \"unpacked\"\nshim = \"go\"\narchitecture = \"x86_64\"\n",
		`both hold the shim go for amd64: declare one`:                            head + goArchive + goArchive,
		"exactly one of url, file and directory is needed":                        head + goArchive + "url = \"https://example.com\"\n",
		`sha256 is "AB": must be 64 lower-case hex digits`:                        head + goArchive + "sha256 = \"AB\"\n",
		"without a password; a file of this machine is declared by the key file":  head + "[[archives]]\nshim = \"go\"\narchitecture = \"amd64\"\nurl = \"ftp://example.com/x\"\n",
		`RPM set "": set, architecture and at least one package are needed`:       head + "[[rpms]]\n",
		`RPM set "host": package d: must be a url or a file`:                      head + "[[rpms]]\nset = \"host\"\narchitecture = \"amd64\"\npackages = [{ directory = \"d\" }]\n",
		"directory d: component and directory are needed":                         head + "[[directories]]\ndirectory = \"d\"\n",
		`directory without a location: component and directory are needed`:        head + "[[directories]]\ncomponent = \"extra\"\n",
		`archive without a location: exactly one of url, file and directory is n`: head + "[[archives]]\n",
	} {
		_, err := source.Parse([]byte(text))
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n")
	}
}

func TestTheArchiveOfAShimIsFound(t *testing.T) {
	t.Parallel()
	s, err := source.Parse([]byte(head + "[[archives]]\nfile = \"kata-go-static-4.2.0-amd64.tar.zst\"\n"))
	require.NoError(t, err)
	a, err := s.Archive("amd64", source.ShimGo)
	require.NoError(t, err)
	assert.Equal(t, "kata-go-static-4.2.0-amd64.tar.zst", a.Name())
	_, err = s.Archive("amd64", source.ShimRuntimeRS)
	require.EqualError(t, err, `no archive with the shim "runtime-rs" for amd64: declare one (upstream's name is kata-static-4.2.0-amd64.tar.zst)`)
	_, err = s.Archive("arm64", source.ShimGo)
	require.ErrorContains(t, err, "upstream's name is kata-go-static-4.2.0-arm64.tar.zst")
}

func TestSetsAndDirectoriesAreForProfilesAndArchitectures(t *testing.T) {
	t.Parallel()
	s, err := source.Parse([]byte(head + `
[[rpms]]
set = "host"
architecture = "amd64"
profiles = ["host-qemu"]
systems = [{ id = "fedora", version = "42", variant = "coreos" }]
packages = [{ file = "a.rpm" }]
[[directories]]
component = "extra"
directory = "extra"
`))
	require.NoError(t, err)
	assert.Equal(t, []source.System{{ID: "fedora", Version: "42", Variant: "coreos"}}, s.RPMs[0].Systems)
	for _, test := range []struct {
		profile, architecture string
		sets, dirs            int
	}{{"host-qemu", "amd64", 1, 1}, {"host-qemu", "arm64", 0, 1}, {"minimal", "amd64", 0, 1}} {
		sets, dirs := s.For(test.profile, test.architecture)
		assert.Len(t, sets, test.sets)
		assert.Len(t, dirs, test.dirs)
	}
}

func TestAPinIsCompared(t *testing.T) {
	t.Parallel()
	measured := strings.Repeat("ab", 32)
	require.NoError(t, source.Location{File: "a", SHA256: measured}.CheckPin(measured))
	err := source.Location{URL: "https://example.com/a"}.CheckPin(measured)
	require.EqualError(t, err, "https://example.com/a is not pinned: its sha256 is "+measured+
		"; compare that with the release's attestation (gh attestation verify, or another place that you trust), and write it into sources.toml")
	err = source.Location{Directory: "d"}.CheckPin(measured)
	require.ErrorContains(t, err, "look through it, and write that into sources.toml")
	err = source.Location{File: "a", SHA256: strings.Repeat("00", 32)}.CheckPin(measured)
	require.ErrorContains(t, err, "a has sha256 "+measured+", and sources.toml pins 000")
}
