// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/inspect"
)

// identity is that of a version's files, in a mount of its own.
func (n node) identity(t *testing.T, p assemble.Payload) string {
	t.Helper()
	target, end := n.run(t, p.Manifest.PayloadVersion)
	defer end()
	identity, err := inspect.Identity(t.Context(), target, p.Manifest)
	require.NoError(t, err)
	return identity
}

// What the agent takes for the same files: another mount of them, also after another version has
// shared them; and not what was written to, or pulled again.
func TestAPayloadKeepsItsIdentityUntilItsFilesAreWritten(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	p, one := s.publish(t, "1.0.0")
	n.pull(t, one)
	before := n.identity(t, p)
	if before == "" {
		t.Skip("the file system of the temporary directory knows no times of birth")
	}
	assert.Equal(t, before, n.identity(t, p))

	_, two := s.publish(t, "2.0.0")
	n.pull(t, two)
	assert.Equal(t, before, n.identity(t, p), "an update that links its files")

	require.NoError(t, n.store.Delete(t.Context(), n.image(t, "2.0.0").ID))
	assert.Equal(t, before, n.identity(t, p))

	flip(t, n.layerFile(t, initrd))
	assert.NotEqual(t, before, n.identity(t, p))
	require.NoError(t, n.store.Discard(t.Context(), n.image(t, "1.0.0").ID))
	n.pull(t, one)
	assert.NotEqual(t, before, n.identity(t, p))
	require.NoError(t, n.verified(t, p))
}

func TestALayerThatIsMadeAgainOfLinksKeepsTheIdentityOfItsFormerFiles(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	files := map[string]string{shim: noise(t, 1, 2<<20), config: "[runtime]\n", guestDir + "firmware": noise(t, 2, 100_000)}
	p, first := s.publishTree(t, "1.0.0", runtime.GOARCH, files)
	files[guestDir+"firmware"] = noise(t, 3, 100_000)
	_, second := s.publishTree(t, "2.0.0", runtime.GOARCH, files)
	n.pull(t, first)
	before := n.identity(t, p)
	if before == "" {
		t.Skip("the file system of the temporary directory knows no times of birth")
	}
	n.pull(t, second)
	require.Len(t, n.copies(t, shim), 1, "they are linked")
	assert.Equal(t, before, n.identity(t, p), "a changed lowest layer makes all others anew, of links")
}
