// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/transport"
)

func push(t *testing.T, p assemble.Payload, to string) transport.Published {
	t.Helper()
	got, err := transport.Push(t.Context(), p.Image, target(t, to), options(t))
	require.NoError(t, err)
	return got
}

func TestALayoutHoldsOneImagePerTagAndOneWithout(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "layout")
	first, second := payload(t, "1.0.0"), payload(t, "2.0.0")
	assert.Equal(t, "oci:"+dir+"@"+first.Digest, push(t, first, "oci:"+dir+":v1").Name)
	push(t, first, "oci:"+dir)
	push(t, second, "oci:"+dir+":v2")
	push(t, second, "oci:"+dir)
	push(t, first, "oci:"+dir+":v2") // a tag can move back

	sameManifest(t, first, target(t, "oci:"+dir+":v1"))
	sameManifest(t, first, target(t, "oci:"+dir+":v2"))
	sameManifest(t, second, target(t, "oci:"+dir))
	sameManifest(t, second, target(t, "oci:"+dir+"@"+second.Digest))
	index, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	held, err := index.IndexManifest()
	require.NoError(t, err)
	assert.Len(t, held.Manifests, 3)
	_, err = transport.Open(t.Context(), target(t, "oci:"+dir+":v3"), options(t))
	assert.ErrorContains(t, err, "no such image among the 3 in "+dir)
}

func TestALayoutHoldsNothingButItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	push(t, payload(t, "1.0.0"), "oci:"+dir+":v1")
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		assert.NotContains(t, path, "incoming")
		if info.Mode().IsRegular() {
			assert.Equal(t, fs.FileMode(0o644), info.Mode().Perm(), path)
		}
		return nil
	}))
}

func TestADirectoryThatHoldsSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600))
	_, err := transport.Push(t.Context(), payload(t, "1.0.0").Image, target(t, "oci:"+dir), options(t))
	require.ErrorContains(t, err, `holds "thesis.txt" and is no OCI layout`)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

func TestAnInterruptedPushLeavesTheOldImage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := payload(t, "1.0.0"), payload(t, "2.0.0")
	push(t, first, "oci:"+dir+":v1")
	_, err := transport.Push(t.Context(), broken{second.Image}, target(t, "oci:"+dir+":v1"), options(t))
	require.ErrorContains(t, err, "input/output error")
	sameManifest(t, first, target(t, "oci:"+dir+":v1"))
	push(t, second, "oci:"+dir+":v1")
	sameManifest(t, second, target(t, "oci:"+dir+":v1"))
}

func TestALayoutThatCannotBeStartedIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "oci-layout"), 0o755)) // where a file must be
	_, err := transport.Push(t.Context(), payload(t, "1.0.0").Image, target(t, "oci:"+dir+":v1"), options(t))
	require.ErrorContains(t, err, "oci-layout")
	assert.NoFileExists(t, filepath.Join(dir, "index.json"), "nothing is written after an error")
}
