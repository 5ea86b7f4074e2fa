// SPDX-License-Identifier: Apache-2.0

package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/snapshot"
)

func TestDiffNamesEveryKindOfChange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"content":   {rewrite, "/etc/a: was"},
		"mode":      {protect, "/etc/a: was"},
		"new file":  {add, "/etc/new: new"},
		"directory": {makeDirectory, "/var/lib/kata-x: new"},
		"removal":   {remove, "/etc/a: gone"},
		"link":      {relink, "/etc/link: was"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t)
			before := take(t, dir)
			test.change(t, dir)
			diff := snapshot.Diff(before, take(t, dir))
			require.Len(t, diff, 1)
			assert.Contains(t, diff[0], test.want)
		})
	}
}

func TestSnapshotIgnoresTimesAndWhatItWasNotAskedFor(t *testing.T) {
	t.Parallel()
	dir := tree(t)
	before := take(t, dir)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "etc/a"), time.Time{}, time.Unix(1, 0)))
	write(t, dir, "var/lib/other", "x")
	assert.Empty(t, snapshot.Diff(before, take(t, dir)))
}

func TestWithoutLeavesOutAPathAndAllBelowIt(t *testing.T) {
	t.Parallel()
	dir := tree(t)
	left := take(t, dir).Without("/etc")
	assert.NotContains(t, left, "/etc")
	assert.NotContains(t, left, "/etc/a")
	assert.Contains(t, left, "/var/lib/kata-agent/state")
}

func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "etc/a", "one")
	write(t, dir, "var/lib/kata-agent/state", "")
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(dir, "etc/link")))
	return dir
}

func rewrite(t *testing.T, dir string) {
	t.Helper()
	write(t, dir, "etc/a", "two")
}

func protect(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Chmod(filepath.Join(dir, "etc/a"), 0o600))
}

func add(t *testing.T, dir string) {
	t.Helper()
	write(t, dir, "etc/new", "")
}

func makeDirectory(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "var/lib/kata-x"), 0o755))
}

func remove(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(dir, "etc/a")))
}

func relink(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(dir, "etc/link")))
	require.NoError(t, os.Symlink("/elsewhere", filepath.Join(dir, "etc/link")))
}

func write(t *testing.T, dir, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644))
}

func take(t *testing.T, dir string) snapshot.Snapshot {
	t.Helper()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	taken, err := snapshot.Take(root, "/etc", "/var/lib/kata-*", "/run/kata-agent")
	require.NoError(t, err)
	return taken
}
