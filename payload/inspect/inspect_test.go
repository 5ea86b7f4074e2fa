// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

const (
	shim   = "usr/bin/containerd-shim-kata-v2"
	config = "usr/share/kata-containers/configuration.toml"
	link   = "usr/share/kata-containers/latest.toml"
)

// tree writes a sound payload and returns its root and manifest.
func tree(t *testing.T) (string, manifest.Manifest) {
	t.Helper()
	root := t.TempDir()
	m := manifest.Manifest{
		Version: 1, Name: "kata-test", PayloadVersion: "1.0.0", Architecture: "amd64", ShimCompatibility: "test-1",
		Handlers: []manifest.Handler{{Name: "kata-oc", Type: "vm", Shim: shim, Config: link, Dialect: "go"}},
		Files: []manifest.File{
			write(t, root, shim, strings.Repeat("shim", 300_000), 0o755),
			write(t, root, config, "", 0o644),
			{Path: link, Link: "configuration.toml"},
		},
	}
	require.NoError(t, os.Symlink("configuration.toml", filepath.Join(root, link)))
	document, err := manifest.Encode(m)
	require.NoError(t, err)
	write(t, root, manifest.Path, string(document), 0o644)
	return root, m
}

func write(t *testing.T, root, path, content string, mode manifest.Mode) manifest.File {
	t.Helper()
	name := filepath.Join(root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	require.NoError(t, os.Chmod(name, mode.Perm()))
	sum := sha256.Sum256([]byte(content))
	return manifest.File{Path: path, Mode: mode, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

func TestASoundTreePasses(t *testing.T) {
	t.Parallel()
	root, m := tree(t)
	assert.NoError(t, inspect.Tree(t.Context(), root, m))
}

func TestReadReturnsTheManifestAndItsBytes(t *testing.T) {
	t.Parallel()
	root, want := tree(t)
	m, document, err := inspect.Read(t.Context(), root)
	require.NoError(t, err)
	assert.Equal(t, want.Files, m.Files)
	onDisk, err := os.ReadFile(filepath.Join(root, manifest.Path))
	require.NoError(t, err)
	assert.Equal(t, onDisk, document)
}

func TestReadSaysWhatIsWrongWithTheDocument(t *testing.T) {
	t.Parallel()
	_, _, err := inspect.Read(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "reading payload manifest: ")
	require.ErrorContains(t, err, "no such file")

	root := t.TempDir()
	write(t, root, "usr/share/kata-payload/elsewhere", "{}", 0o644)
	require.NoError(t, os.Symlink("elsewhere", filepath.Join(root, manifest.Path)))
	_, _, err = inspect.Read(t.Context(), root)
	require.ErrorContains(t, err, "manifest.json: is not a regular file")

	root = t.TempDir()
	write(t, root, manifest.Path, `{"version": 7}`, 0o644)
	_, _, err = inspect.Read(t.Context(), root)
	require.ErrorContains(t, err, "version 7, this program reads 1")
}

func TestTreeNamesTheBadFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil        func(t *testing.T, path func(string) string)
		bad, problem string
	}{
		"content": {func(t *testing.T, path func(string) string) {
			t.Helper()
			flip(t, path(shim), 700_000)
		}, shim, "sha256 is "},
		"size": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Truncate(path(config), 1))
		}, config, "size is 1, manifest says 0"},
		"mode": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Chmod(path(shim), 0o700))
		}, shim, "mode is -rwx------, manifest says -rwxr-xr-x"},
		"setuid": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Chmod(path(shim), 0o755|os.ModeSetuid))
		}, shim, "mode is urwxr-xr-x"},
		"missing file": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Remove(path(config)))
		}, config, "is missing"},
		"missing manifest": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Remove(path(manifest.Path)))
		}, manifest.Path, "is missing"},
		"extra file": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path("usr/bin/extra"), nil, 0o600))
		}, "usr/bin/extra", "is not in the manifest"},
		"extra directory": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Mkdir(path("etc"), 0o755))
		}, "etc", "is not in the manifest"},
		"open directory": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Chmod(path("usr/bin"), 0o777))
		}, "usr/bin", "others may write to"},
		"link's target": {func(t *testing.T, path func(string) string) {
			t.Helper()
			relink(t, path(link), "/etc/passwd")
		}, link, `links to "/etc/passwd", manifest says "configuration.toml"`},
		"link in place of a file": {func(t *testing.T, path func(string) string) {
			t.Helper()
			relink(t, path(config), "latest.toml")
		}, config, "is a symbolic link, manifest says regular file"},
		"link in place of a directory": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Rename(path("usr/bin"), path("usr/sbin")))
			require.NoError(t, os.Symlink("sbin", path("usr/bin")))
		}, "usr/bin", "is a symbolic link, manifest says directory"},
		"pipe": {func(t *testing.T, path func(string) string) {
			t.Helper()
			require.NoError(t, os.Remove(path(config)))
			require.NoError(t, syscall.Mkfifo(path(config), 0o644))
		}, config, "is a special file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, m := tree(t)
			test.spoil(t, func(path string) string { return filepath.Join(root, path) })
			err := inspect.Tree(t.Context(), root, m)
			var mismatch *inspect.Mismatch
			require.ErrorAs(t, err, &mismatch)
			assert.Equal(t, test.bad, mismatch.Path)
			assert.Contains(t, mismatch.Problem, test.problem)
			assert.Equal(t, "verifying payload: "+test.bad+": "+mismatch.Problem, err.Error())
		})
	}
}

func TestTheFirstBadFileIsNamedWhateverItsDefect(t *testing.T) {
	t.Parallel()
	root, m := tree(t)
	flip(t, filepath.Join(root, shim), 0)
	require.NoError(t, os.Remove(filepath.Join(root, config)))
	var mismatch *inspect.Mismatch
	require.ErrorAs(t, inspect.Tree(t.Context(), root, m), &mismatch)
	assert.Equal(t, shim, mismatch.Path, "sorts before the missing file, and is found later")
}

func TestReadingStopsWithItsContext(t *testing.T) {
	t.Parallel()
	root, m := tree(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := inspect.Tree(ctx, root, m)
	require.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "verifying payload: ")
}

func TestAMissingTreeIsNoMismatch(t *testing.T) {
	t.Parallel()
	_, m := tree(t)
	err := inspect.Tree(t.Context(), filepath.Join(t.TempDir(), "nowhere"), m)
	require.ErrorIs(t, err, os.ErrNotExist)
	var mismatch *inspect.Mismatch
	assert.NotErrorAs(t, err, &mismatch)
}

// flip changes one bit at an offset in bytes, and neither size nor mode.
func flip(t *testing.T, name string, offset int) {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	content[offset] ^= 1
	require.NoError(t, os.WriteFile(name, content, 0o600))
}

func relink(t *testing.T, name, target string) {
	t.Helper()
	require.NoError(t, os.Remove(name))
	require.NoError(t, os.Symlink(target, name))
}

// What an image calls its manifest is read before any digest of it is known.
func TestAManifestThatWouldBlockOrExhaustTheReaderIsAMismatch(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string) error{
		"FIFO":      func(path string) error { return unix.Mkfifo(path, 0o644) },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"link out":  func(path string) error { return os.Symlink("/etc/passwd", path) },
		"endless":   func(path string) error { return os.Symlink("/dev/zero", path) },
		"huge": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 3<<30))
		},
		"other document": func(path string) error { return os.WriteFile(path, []byte("<html>"), 0o644) },
	} {
		root := t.TempDir()
		path := filepath.Join(root, manifest.Path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, make(path))
		_, _, err := inspect.Read(t.Context(), root)
		var mismatch *inspect.Mismatch
		require.ErrorAs(t, err, &mismatch, name)
		assert.Equal(t, manifest.Path, mismatch.Path, name)
	}
}

func TestAFileIsReadBelowTheRootOnly(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, "etc/base.toml", "a = 1", 0o644)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(root, "out")))
	got, err := inspect.File(t.Context(), root, "etc/base.toml", 5)
	require.NoError(t, err)
	assert.Equal(t, "a = 1", string(got))
	var mismatch *inspect.Mismatch
	for _, name := range []string{"etc", "absent", "out"} {
		_, err = inspect.File(t.Context(), root, name, 1<<20)
		require.ErrorAs(t, err, &mismatch, name)
	}
	_, err = inspect.File(t.Context(), root, "etc/base.toml", 4)
	require.ErrorAs(t, err, &mismatch)
}

func TestATreeWithFarMoreFilesThanAreListedIsNotRemembered(t *testing.T) {
	t.Parallel()
	root, m := tree(t)
	for i := range 1200 {
		write(t, root, fmt.Sprintf("extra/%04d", i), "", 0o644)
	}
	var mismatch *inspect.Mismatch
	require.ErrorAs(t, inspect.Tree(t.Context(), root, m), &mismatch)
	assert.Contains(t, mismatch.Problem, "is not in the manifest, like 1000 others")
}
