// SPDX-License-Identifier: Apache-2.0

package rpmset_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/kata-node/kata-node/payload/source/rpmset"
)

const (
	tiny   = "testdata/tiny-1.0~rc1-1.x86_64.rpm"
	source = "testdata/tiny-1.0~rc1-1.src.rpm"
)

func TestAPackageIsRead(t *testing.T) {
	t.Parallel()
	p, err := rpmset.Read(t.Context(), tiny, "amd64")
	require.NoError(t, err)
	assert.Equal(t, manifest.Package{Name: "tiny", Epoch: 2, Version: "1.0~rc1", Release: "1", Architecture: "x86_64"}, p)
	assert.Equal(t, filepath.Base(tiny), p.FileName())
}

func TestWhatAHostMustNotGetIsRefused(t *testing.T) {
	t.Parallel()
	intact, err := os.ReadFile(tiny)
	require.NoError(t, err)
	changed := func(offset int) string {
		damaged := bytes.Clone(intact)
		damaged[offset] ^= 0xff
		name := filepath.Join(t.TempDir(), "damaged.rpm")
		require.NoError(t, os.WriteFile(name, damaged, 0o600))
		return name
	}
	short := filepath.Join(t.TempDir(), "short.rpm")
	require.NoError(t, os.WriteFile(short, intact[:1000], 0o600))
	name := bytes.Index(intact, []byte("A package with one file"))
	for want, test := range map[string]struct{ file, architecture string }{
		"is for x86_64: the set is for arm64, and takes aarch64 and noarch":                                                        {tiny, "arm64"},
		"is a source package: hosts install binary packages":                                                                       {source, "amd64"},
		"is no intact RPM package: payload SHA-256 digest mismatch; get it again from where it was built, and pin that":            {changed(len(intact) - 3), "amd64"},
		"is no intact RPM package: SHA-256 mismatch in signature header; get it again from where it was built, and pin that":       {changed(name), "amd64"},
		"is no intact RPM package: its header claims to be larger than 64 MiB; get it again from where it was built, and pin that": {"rpmset_test.go", "amd64"},
		"is no intact RPM package: it ends within its headers; get it again from where it was built, and pin that":                 {short, "amd64"},
		"open testdata/other.rpm: no such file or directory":                                                                       {"testdata/other.rpm", "amd64"},
	} {
		_, err := rpmset.Read(t.Context(), test.file, test.architecture)
		assert.EqualError(t, err, want)
	}
}

// FuzzRead: whatever the bytes, an answer.
func FuzzRead(f *testing.F) {
	intact, err := os.ReadFile(tiny)
	require.NoError(f, err)
	f.Add(intact[:2000])
	f.Fuzz(func(t *testing.T, content []byte) {
		name := filepath.Join(t.TempDir(), "rpm")
		require.NoError(t, os.WriteFile(name, content, 0o600))
		if p, err := rpmset.Read(t.Context(), name, "amd64"); err != nil {
			require.Empty(t, p.Name)
		}
	})
}
