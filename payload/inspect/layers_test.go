// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

// item is an entry of a layer: a regular file unless its header says otherwise.
type item struct {
	tar.Header

	content string
}

func regular(name, content string, mode int64) item {
	return item{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}, content}
}

func directory(name string, mode int64) item {
	return item{tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}, ""}
}

func linked(kind byte, name, target string) item {
	return item{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, ""}
}

func packed(t *testing.T, items ...item) inspect.Layer {
	t.Helper()
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, i := range items {
		require.NoError(t, w.WriteHeader(&i.Header))
		_, err := io.WriteString(w, i.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil }
}

// sound are two layers of the payload that tree writes, and what it has of them on disk.
func sound(t *testing.T) (layers []inspect.Layer, m manifest.Manifest) {
	t.Helper()
	root, m := tree(t)
	content := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		return string(text)
	}
	return []inspect.Layer{
		packed(t, directory("./", 0o755), directory("usr/", 0o755), directory("usr/bin/", 0o755), regular("usr/bin/containerd-shim-kata-v2", content(shim), 0o755)),
		packed(t, regular("./"+config, "", 0o644), linked(tar.TypeSymlink, link, "configuration.toml"), regular(manifest.Path, content(manifest.Path), 0o644)),
	}, m
}

func TestTheLayersOfASoundImagePass(t *testing.T) {
	t.Parallel()
	layers, m := sound(t)
	var verified []string
	require.NoError(t, inspect.Layers(t.Context(), layers, m, func(f manifest.File) { verified = append(verified, f.Path) }))
	assert.Equal(t, []string{shim, config}, verified, "directories that a layer leaves out are made")
}

func TestLayersThatAreNotWhatTheManifestSaysAreNamed(t *testing.T) {
	t.Parallel()
	for want, more := range map[string][]item{
		shim + ": sha256 is ":                                 {regular(shim, fmt.Sprintf("%01200000d", 1), 0o755)},
		shim + ": size is 1, manifest says 1200000":           {regular(shim, "x", 0o755)},
		shim + ": mode is urwxr-xr-x, manifest says":          {regular(shim, "x", 0o4755)},
		shim + ": is a directory, manifest says regular":      {directory(shim, 0o755)},
		link + ": links to \"../x\", manifest says":           {linked(tar.TypeSymlink, link, "../x")},
		"usr/bin: is a directory that others may write to":    {directory("usr/bin", 0o777)},
		"usr/bin/more: is not in the manifest":                {regular("usr/bin/more", "", 0o755)},
		"usr/bin/again: is not in the manifest":               {linked(tar.TypeLink, "usr/bin/again", shim)},
		"usr/bin/none: is a hard link to \"usr/x\", which is": {linked(tar.TypeLink, "usr/bin/none", "usr/x")},
		"usr/null: is not in the manifest":                    {item{tar.Header{Typeflag: tar.TypeChar, Name: "usr/null", Mode: 0o666}, ""}},
		"../x: leads out of the payload":                      {regular("../x", "", 0o644)},
		"/x: leads out of the payload":                        {regular("/x", "", 0o644)},
		"usr/bin/.wh.more: hides a file of a layer below":     {regular("usr/bin/.wh.more", "", 0o644)},
	} {
		layers, m := sound(t)
		err := inspect.Layers(t.Context(), append(layers, packed(t, more...)), m, func(manifest.File) {})
		require.ErrorContains(t, err, "verifying payload: "+want)
		var mismatch *inspect.Mismatch
		require.ErrorAs(t, err, &mismatch)
	}
	layers, m := sound(t)
	require.ErrorContains(t, inspect.Layers(t.Context(), layers[1:], m, func(manifest.File) {}), "usr/bin: is missing")
	require.NoError(t, inspect.Layers(t.Context(), append(layers[1:], layers[0], packed(t, linked(tar.TypeLink, shim, shim))), m, func(manifest.File) {}), "in any order, and twice")
}

func TestLayersOfManyUnlistedFilesAreNotRemembered(t *testing.T) {
	t.Parallel()
	var many []item
	for i := range 1001 {
		many = append(many, regular(fmt.Sprintf("z%d", i), "", 0o644))
	}
	layers, m := sound(t)
	require.ErrorContains(t, inspect.Layers(t.Context(), append(layers, packed(t, many...)), m, func(manifest.File) {}), "z1000: is not in the manifest, like 1000 others")
}

func TestALayerThatCannotBeReadIsNoMismatch(t *testing.T) {
	t.Parallel()
	layers, m := sound(t)
	broken := errors.New("connection reset")
	layers[1] = func() (io.ReadCloser, error) { return nil, broken }
	err := inspect.Layers(t.Context(), layers, m, func(manifest.File) {})
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "verifying payload: layer 2 of 2: ")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	layers, _ = sound(t)
	require.ErrorIs(t, inspect.Layers(ctx, layers, m, func(manifest.File) {}), context.Canceled)
}
