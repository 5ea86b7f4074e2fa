// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/images"
)

// state is what a look at a store must leave as it is: names, modes, sizes and times.
func state(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		found[name] = fs.FormatFileInfo(info) + info.ModTime().String()
		return err
	}))
	return found
}

func TestAStoreThatIsLookedAtFromOutsideStaysAsItIs(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	another := images.Below(n.root, host.StoreDir, host.StoreRunDir, "auth.json")
	found, err := another.Peek()
	require.NoError(t, err)
	assert.Empty(t, found)
	assert.False(t, n.store.Exists())

	_, one := s.publish(t, "1.0.0")
	_, two := s.publish(t, "2.0.0")
	n.pull(t, one)
	n.pull(t, two)
	want, before := n.list(t), state(t, n.root)
	require.Len(t, want, 2)
	found, err = another.Peek()
	require.NoError(t, err)
	assert.Equal(t, want, found)
	assert.Equal(t, before, state(t, n.root))
}

func TestRecordsThatCannotBeReadAreNamed(t *testing.T) {
	t.Parallel()
	n := newNode(t, newSource(t))
	records := filepath.Join(n.root, host.StoreDir, "overlay-images")
	require.NoError(t, os.MkdirAll(records, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(records, "images.json"), []byte("{"), 0o600))
	_, err := n.store.Peek()
	require.ErrorContains(t, err, host.StoreDir)
}
