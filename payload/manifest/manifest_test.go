// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/manifest"
)

const (
	shim   = "usr/bin/containerd-shim-kata-v2"
	config = "usr/share/kata-containers/defaults/configuration.toml"
)

// valid is the smallest manifest that uses every field.
func valid() manifest.Manifest {
	return manifest.Manifest{
		Version: 1, Name: "kata-test", PayloadVersion: "1.0.0", Architecture: "amd64", ShimCompatibility: "test-1",
		Handlers: []manifest.Handler{
			{Name: "kata-oc", Type: manifest.TypeVM, Shim: shim, Config: config, Dialect: manifest.DialectGo},
		},
		Components: []manifest.Component{
			{Name: "shim", Version: "1.0.0", Paths: []string{"usr/bin"}},
			{Name: "config", Version: "1.0.0"},
		},
		Requires: manifest.Requires{QEMU: true, OldestKernel: "5.14"}, OpenShift: ">=4.17 <4.20", Kubernetes: ">=1.30",
		Files: []manifest.File{
			{Path: shim, Mode: 0o755, Size: 5, SHA256: strings.Repeat("ab", 32)},
			{Path: config, Mode: 0o644, SHA256: strings.Repeat("cd", 32)},
			{Path: "usr/share/kata-containers/latest", Link: "defaults"},
		},
	}
}

func TestEncodeWritesTheCanonicalForm(t *testing.T) {
	t.Parallel()
	document, err := manifest.Encode(valid())
	require.NoError(t, err)
	golden, err := os.ReadFile(path.Join("testdata", "manifest.json"))
	require.NoError(t, err)
	assert.Equal(t, string(golden), string(document))
}

func TestDecodeReadsWhatEncodeWrites(t *testing.T) {
	t.Parallel()
	want := valid()
	document, err := manifest.Encode(want)
	require.NoError(t, err)
	got, err := manifest.Decode(document)
	require.NoError(t, err)
	want.Components[1].Paths = []string{}
	assert.Equal(t, want, got)
}

func TestDecodeAllowsFieldsOfLaterBuilders(t *testing.T) {
	t.Parallel()
	document, err := manifest.Encode(valid())
	require.NoError(t, err)
	_, err = manifest.Decode([]byte(strings.Replace(string(document), "{", `{"later": {"a": 1},`, 1)))
	assert.NoError(t, err)
}

func TestDecodeRefusesWithOneSentence(t *testing.T) {
	t.Parallel()
	document, err := manifest.Encode(valid())
	require.NoError(t, err)
	for name, test := range map[string]struct{ document, want string }{
		"another version":    {`{"version": 2, "files": "elsewhere"}`, "version 2, this program reads 1"},
		"no version":         {`{}`, "version 0, this program reads 1"},
		"no JSON":            {`version: 1`, "not a manifest document"},
		"a second document":  {string(document) + `{"version": 1}`, "more than one JSON document"},
		"a decimal mode":     {strings.Replace(string(document), `"0755"`, `"755"`, 1), `mode "755" is not four octal digits`},
		"an invalid content": {strings.Replace(string(document), `"kata-test"`, `"kata test"`, 1), `name "kata test" does not have the form`},
		"a huge document":    {strings.Repeat(" ", manifest.MaxSize+1), "more than 16777216"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.Decode([]byte(test.document))
			require.ErrorContains(t, err, test.want)
			assert.ErrorContains(t, err, "reading payload manifest: ")
		})
	}
}

func TestHandlersAndFilesAreFoundByName(t *testing.T) {
	t.Parallel()
	m := valid()
	h, found := m.Handler("kata-oc")
	assert.True(t, found)
	assert.Equal(t, shim, h.Shim)
	_, found = m.Handler("kata")
	assert.False(t, found)
	f, found := m.File(config)
	assert.True(t, found)
	assert.Equal(t, config, f.Path)
	_, found = m.File("usr/bin")
	assert.False(t, found)
}

func TestComponentsClaimPathsAndEverythingBelow(t *testing.T) {
	t.Parallel()
	m := manifest.Manifest{Components: []manifest.Component{
		{Name: "bin", Paths: []string{"usr/bin"}}, {Name: "rest"}, {Name: "guest", Paths: []string{"usr/share/*.img", "opt/v*"}},
	}}
	for file, want := range map[string]string{
		"usr/bin/a": "bin", "usr/bin/a/b": "bin", "usr/binary": "rest", "usr/share/x.img": "guest", "usr/share/a/x.img": "rest",
		"opt/v1/kernel": "guest", "README": "rest",
	} {
		c, found := m.Component(file)
		assert.True(t, found, file)
		assert.Equal(t, want, c.Name, file)
	}
	_, found := manifest.Manifest{Components: m.Components[:1]}.Component("README")
	assert.False(t, found)
}

func TestResolveFollowsLinksInsideThePayload(t *testing.T) {
	t.Parallel()
	m := manifest.Manifest{Files: []manifest.File{
		{Path: "a/file"}, {Path: "a/up", Link: "../b/down"}, {Path: "b/down", Link: "../a"}, {Path: "c", Link: "d"}, {Path: "d", Link: "c"},
	}}
	f, err := m.Resolve("a/up/up/file")
	require.NoError(t, err)
	assert.Equal(t, "a/file", f.Path)
	_, err = m.Resolve("c")
	require.ErrorContains(t, err, "more than 40 symbolic links")
	_, err = m.Resolve("a")
	require.ErrorContains(t, err, "a is not a file of the payload")
	_, err = m.Resolve("a/../../etc/passwd")
	require.ErrorContains(t, err, "leaves the payload")
}

func TestADocumentThatNoAgentReadsIsNotWritten(t *testing.T) {
	t.Parallel()
	m := valid()
	for i := range 95_000 {
		m.Files = append(m.Files, regular(fmt.Sprintf("z/%088d", i)))
	}
	require.NoError(t, m.Validate())
	_, err := manifest.Encode(m)
	require.ErrorContains(t, err, "the document is too large: ")
	assert.ErrorContains(t, err, "more than 16777216: stage fewer files")
}
