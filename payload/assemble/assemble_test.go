// SPDX-License-Identifier: Apache-2.0

package assemble_test

import (
	"archive/tar"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

const (
	shim   = "usr/bin/containerd-shim-kata-v2"
	config = "usr/share/defaults/configuration.toml"
)

// stage writes the smallest tree that the description fits.
func stage(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	put(t, root, shim, "a shim", 0o755)
	put(t, root, config, "[runtime]\n", 0o644)
	put(t, root, "usr/share/guest/initrd", strings.Repeat("guest", 50_000), 0o644)
	require.NoError(t, os.Symlink("../guest/initrd", filepath.Join(root, "usr/share/defaults/initrd")))
	return root
}

func put(t *testing.T, root, path, content string, mode os.FileMode) {
	t.Helper()
	name := filepath.Join(root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), mode))
	require.NoError(t, os.Chmod(name, mode))
}

func description() assemble.Description {
	return assemble.Description{
		Name: "kata-test", Version: "1.0.0", Architecture: "amd64", ShimCompatibility: "test-1",
		Handlers: []assemble.Handler{{Name: "kata-oc", Type: "vm", Shim: shim, Config: config, Dialect: "go"}},
		Components: []assemble.Component{
			{Name: "guest", Version: "6.1", Paths: []string{"usr/share/guest"}},
			{Name: "shim", Paths: []string{"usr/bin"}},
			{Name: "config"},
		},
	}
}

func input(t *testing.T, tree string) assemble.Input {
	t.Helper()
	return assemble.Input{Tree: tree, Description: description(), WorkDir: t.TempDir()}
}

func mustBuild(t *testing.T, in assemble.Input) assemble.Payload {
	t.Helper()
	p, err := assemble.Build(t.Context(), in)
	require.NoError(t, err)
	return p
}

func TestAnImageHasOneLayerPerComponentAndTheManifestOnTop(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, input(t, stage(t)))
	validateImage(t, p.Image)
	var names []string
	for _, l := range p.Layers {
		names = append(names, l.Component)
	}
	assert.Equal(t, []string{"guest", "shim", "config", "manifest"}, names)

	layers, err := p.Image.Layers()
	require.NoError(t, err)
	assert.Equal(t, []string{"usr/", "usr/share/", "usr/share/guest/", "usr/share/guest/initrd"}, list(t, layers[0]))
	assert.Equal(t, []string{"usr/", "usr/bin/", shim}, list(t, layers[1]))
	assert.Equal(t, []string{"usr/", "usr/share/", "usr/share/kata-payload/", manifest.Path}, list(t, layers[3]))
}

func TestAnImagesLabelsNameTheManifest(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, input(t, stage(t)))
	document, err := manifest.Encode(p.Manifest)
	require.NoError(t, err)
	file, err := p.Image.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, manifest.Digest(document), file.Config.Labels[manifest.Label])
	assert.JSONEq(t, `{"qemu":false,"kernel":false}`, file.Config.Labels[manifest.RequiresLabel])
	assert.Equal(t, "1.0.0", file.Config.Labels["org.opencontainers.image.version"])
	assert.Equal(t, "amd64", file.Architecture)
	assert.Equal(t, "linux", file.OS)
	own, err := p.Image.Manifest()
	require.NoError(t, err)
	assert.Equal(t, file.Config.Labels, own.Annotations)
}

func TestAnUnpackedImageIsWhatItsManifestSays(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, input(t, stage(t)))
	root := t.TempDir()
	unpack(t, p.Image, root)
	m, _, err := inspect.Read(t.Context(), root)
	require.NoError(t, err)
	assert.Equal(t, p.Manifest.Files, m.Files)
	require.NoError(t, inspect.Tree(t.Context(), root, m))
	for _, f := range m.Files {
		if f.Link == "" {
			content, err := os.ReadFile(filepath.Join(root, f.Path))
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprintf("%x", sha1.Sum(content)), p.SHA1[f.Path], f.Path)
		}
	}
	guest, found := m.Component("usr/share/guest/initrd")
	assert.True(t, found)
	assert.Equal(t, "6.1", guest.Version)
	assert.Equal(t, "1.0.0", m.Components[2].Version, "a component without a version has the payload's")
}

func TestTwoBuildsAreEqualWhateverSurroundsThem(t *testing.T) {
	t.Parallel()
	first := mustBuild(t, input(t, stage(t)))

	other := t.TempDir() // another directory, order of creation, umask and clock; a hard link; an empty directory
	require.NoError(t, os.MkdirAll(filepath.Join(other, "usr/share/defaults"), 0o700))
	require.NoError(t, os.Symlink("../guest/initrd", filepath.Join(other, "usr/share/defaults/initrd")))
	put(t, other, "usr/share/guest/initrd", strings.Repeat("guest", 50_000), 0o600)
	put(t, other, config, "[runtime]\n", 0o664)
	put(t, other, shim, "a shim", 0o700)
	put(t, other, "usr/lib/empty/gone", "", 0o600)
	require.NoError(t, os.Remove(filepath.Join(other, "usr/lib/empty/gone")))
	require.NoError(t, os.Chtimes(filepath.Join(other, shim), time.Now(), time.Unix(1_000_000_000, 5)))
	in := input(t, other)
	in.Time = time.Unix(0, 999)
	second := mustBuild(t, in)

	assert.Equal(t, first.Digest, second.Digest)
	assert.Equal(t, first.Layers, second.Layers)
}

func TestTheDigestOfTheSmallestPayloadIsKnown(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/diffids")
	require.NoError(t, err)
	for _, compression := range []assemble.Compression{assemble.ZstdChunked, assemble.Gzip} {
		in := input(t, stage(t))
		in.Compression = compression
		config, err := mustBuild(t, in).Image.ConfigFile()
		require.NoError(t, err)
		var got []string
		for _, diffID := range config.RootFS.DiffIDs {
			got = append(got, diffID.Hex)
		}
		// The uncompressed layers: they do not depend on the compressor. A change here changes
		// every published payload.
		assert.Equal(t, strings.Fields(string(golden)), got, compression)
	}
}

func TestAnUpdateMovesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	tree := stage(t)
	first := mustBuild(t, input(t, tree))
	put(t, tree, shim, "another shim", 0o755)
	second := mustBuild(t, input(t, tree))
	assert.Equal(t, first.Layers[0], second.Layers[0])
	assert.NotEqual(t, first.Layers[1], second.Layers[1])
	assert.Equal(t, first.Layers[2], second.Layers[2])
	assert.NotEqual(t, first.Layers[3], second.Layers[3])
}

// A node takes a file from an older payload only where its time is the same.
func TestLayersDoNotDependOnTheTimeOfTheBuild(t *testing.T) {
	t.Parallel()
	in := input(t, stage(t))
	first := mustBuild(t, in)
	in.Time = time.Unix(1_700_000_000, 0)
	second := mustBuild(t, in)
	assert.NotEqual(t, first.Digest, second.Digest)
	assert.Equal(t, first.Layers, second.Layers)
	file, err := second.Image.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, in.Time.Unix(), file.Created.Unix())
	walk(t, mutate.Extract(second.Image), func(h *tar.Header, _ io.Reader) {
		assert.Zero(t, h.ModTime.Unix(), h.Name)
		assert.Zero(t, h.Uid+h.Gid, h.Name)
	})
}

func TestABuildStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := assemble.Build(ctx, input(t, stage(t)))
	assert.ErrorIs(t, err, context.Canceled)
}

func list(t *testing.T, l v1.Layer) []string {
	t.Helper()
	content, err := l.Uncompressed()
	require.NoError(t, err)
	var names []string
	walk(t, content, func(h *tar.Header, _ io.Reader) { names = append(names, h.Name) })
	return names
}

func walk(t *testing.T, archive io.ReadCloser, each func(*tar.Header, io.Reader)) {
	t.Helper()
	defer func() { assert.NoError(t, archive.Close()) }()
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		each(h, r)
	}
}

func unpack(t *testing.T, image v1.Image, root string) {
	t.Helper()
	walk(t, mutate.Extract(image), func(h *tar.Header, content io.Reader) {
		name := filepath.Join(root, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			require.NoError(t, os.MkdirAll(name, 0o755))
		case tar.TypeSymlink:
			require.NoError(t, os.Symlink(h.Linkname, name))
		default:
			b, err := io.ReadAll(content)
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
			require.NoError(t, os.WriteFile(name, b, 0o600))
			require.NoError(t, os.Chmod(name, h.FileInfo().Mode()))
		}
	})
}

func TestABaseConfigurationMayNameFilesBelowThePrefix(t *testing.T) {
	t.Parallel()
	in := input(t, stage(t))
	in.Description.Prefix = "/opt/kata"
	put(t, in.Tree, "opt/kata/bin/qemu", "a program", 0o755)
	put(t, in.Tree, config, "[hypervisor.qemu]\npath = '/opt/kata/bin/qemu'\nvalid_hypervisor_paths = ['/opt/kata/bin/*']\n", 0o644)
	p := mustBuild(t, in)
	assert.Equal(t, "/opt/kata", p.Manifest.Prefix)
}
