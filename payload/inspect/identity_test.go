// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/inspect"
	"github.com/kata-node/kata-node/payload/manifest"
)

// identified is a sound tree and its identity. Its files are old, so that each write shows in their
// times.
func identified(t *testing.T) (string, manifest.Manifest, string) {
	t.Helper()
	root, m := tree(t)
	for _, file := range []string{shim, config, manifest.Path} {
		require.NoError(t, os.Chtimes(filepath.Join(root, file), time.Unix(1, 0), time.Unix(1, 0)))
	}
	identity, err := inspect.Identity(t.Context(), root, m)
	require.NoError(t, err)
	if identity == "" {
		t.Skip("the file system of the temporary directory knows no times of birth")
	}
	return root, m, identity
}

func TestATreeThatIsLeftAloneKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	root, m, identity := identified(t)
	_, err := os.ReadFile(filepath.Join(root, shim))
	require.NoError(t, err)
	require.NoError(t, os.Link(filepath.Join(root, shim), filepath.Join(t.TempDir(), "another")))
	again, err := inspect.Identity(t.Context(), root, m)
	require.NoError(t, err)
	assert.Equal(t, identity, again, "a pull may link a file into another layer")
}

func TestAFileThatWasChangedOrReplacedHasAnotherIdentity(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, file string){
		"written to": func(t *testing.T, file string) {
			t.Helper()
			flip(t, file, 700_000)
		},
		"replaced by an equal one with the same times": func(t *testing.T, file string) {
			t.Helper()
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file+".new", content, 0o755))
			require.NoError(t, os.Chtimes(file+".new", time.Unix(1, 0), time.Unix(1, 0)))
			require.NoError(t, os.Rename(file+".new", file))
		},
		"made anew where it was": func(t *testing.T, file string) {
			t.Helper()
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.WriteFile(file, content, 0o755))
			require.NoError(t, os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, m, identity := identified(t)
			spoil(t, filepath.Join(root, shim))
			again, err := inspect.Identity(t.Context(), root, m)
			require.NoError(t, err)
			assert.NotEqual(t, identity, again)
		})
	}
}

func TestATreeOfAnotherShapeHasNoIdentity(t *testing.T) {
	t.Parallel()
	root, m, _ := identified(t)
	require.NoError(t, os.Remove(filepath.Join(root, config)))
	_, err := inspect.Identity(t.Context(), root, m)
	var mismatch *inspect.Mismatch
	require.ErrorAs(t, err, &mismatch)
	assert.Equal(t, config, mismatch.Path)
	_, err = inspect.Identity(t.Context(), filepath.Join(root, "missing"), m)
	require.ErrorContains(t, err, "identifying the files of a payload")
}

func TestTheIdentityOfAFileChangesWithItsAttributesAndItsEnd(t *testing.T) {
	t.Parallel()
	root, _ := tree(t)
	file := filepath.Join(root, shim)
	of := func() string {
		var b bytes.Buffer
		require.NoError(t, inspect.FileIdentity(&b, file))
		return b.String()
	}
	before := of()
	assert.Equal(t, before, of())
	require.NoError(t, os.Chmod(file, 0o700))
	changed := of()
	assert.NotEqual(t, before, changed)
	require.NoError(t, os.Remove(file))
	assert.Contains(t, of(), "is missing")
	require.Error(t, inspect.FileIdentity(&bytes.Buffer{}, filepath.Join(root, config, "below")))
}
