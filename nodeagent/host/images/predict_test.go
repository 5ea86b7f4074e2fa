// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/difference"
	"github.com/kata-node/kata-node/payload/overview"
	"github.com/kata-node/kata-node/payload/transport"
)

// layersOf reads what a prediction needs of an image that is published.
func (s *source) layersOf(tb testing.TB, p assemble.Payload) difference.Image {
	tb.Helper()
	target, err := transport.ParseTarget("docker://" + s.address() + "/kata/payload@" + p.Digest)
	require.NoError(tb, err)
	opened, err := transport.Open(tb.Context(), target, transport.Options{SkipTLSVerify: true, WorkDir: tb.TempDir()})
	require.NoError(tb, err)
	defer func() { require.NoError(tb, opened.Close()) }()
	image, err := overview.Layers(tb.Context(), opened, runtime.GOARCH)
	require.NoError(tb, err)
	return image
}

// predicted is what kata-payload diff says of an update: bytes on the wire, and of files.
func (s *source) predicted(tb testing.TB, from, to assemble.Payload) (wire, written float64) {
	tb.Helper()
	d, err := difference.Between(s.layersOf(tb, from), s.layersOf(tb, to))
	require.NoError(tb, err)
	if clones(tb, tb.TempDir()) {
		return float64(d.Total.Fetched), float64(d.Total.Written)
	}
	return float64(d.Total.WithoutClones), float64(d.Total.Written)
}

// clones tells whether a file system clones files, which Linux does by ioctl FICLONE.
func clones(tb testing.TB, dir string) bool {
	tb.Helper()
	from, err := os.Create(filepath.Join(dir, "from"))
	require.NoError(tb, err)
	defer from.Close() //nolint:errcheck // It is empty.
	to, err := os.Create(filepath.Join(dir, "to"))
	require.NoError(tb, err)
	defer to.Close() //nolint:errcheck // It is empty.
	return unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) == nil
}

// kata-payload diff says what a pull fetches and writes: here both are held to each other.
func TestAPullFetchesAndWritesWhatWasPredicted(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	files := map[string]string{
		shim: noise(t, 1, 2<<20), config: "[runtime]\n", guestDir + "vmlinuz": noise(t, 2, 1<<20), guestDir + "firmware": noise(t, 3, 100_000),
	}
	old, name := s.publishTree(t, "1.0.0", runtime.GOARCH, files)
	n.pull(t, name)
	for version, changed := range []map[string]string{
		// Half of the shim stays what it was.
		{shim: files[shim][:1<<20] + noise(t, 4, 1<<20), guestDir + "firmware": noise(t, 5, 100_000), guestDir + "option.rom": noise(t, 6, 30_000)},
		// The layer of the shim is the same, on top of another one.
		{guestDir + "firmware": noise(t, 7, 100_000)},
		// The layer of the guest is there as it is.
		{config: "[hypervisor]\n"},
	} {
		maps.Copy(files, changed)
		next, name := s.publishTree(t, fmt.Sprintf("%d.0.0", version+2), runtime.GOARCH, files)
		d, err := difference.Between(s.layersOf(t, old), s.layersOf(t, next))
		require.NoError(t, err)
		wire, written := n.update(t, s, name)
		want := d.Total.WithoutClones
		if clones(t, t.TempDir()) {
			want = d.Total.Fetched
		}
		t.Logf("predicted %d and %d of files, fetched %d, written %.0f", want, d.Total.Written, wire, written)
		// The heads of answers and of parts, and small gaps between them, come to it.
		assert.InDelta(t, want, wire, 4000+0.01*float64(want))
		assert.GreaterOrEqual(t, wire, want)
		// Files take whole blocks.
		assert.InDelta(t, d.Total.Written, written, 4096*float64(d.Total.NewFiles))
		old = next
	}
	assert.Len(t, n.copies(t, guestDir+"vmlinuz"), 1)
}

// update pulls an image, and returns the bytes that came and those of new files.
func (n node) update(t *testing.T, s *source, name string) (wire int64, written float64) {
	t.Helper()
	known := n.inodes(t)
	s.wire.Store(0)
	n.pull(t, name)
	for inode, bytes := range n.inodes(t) {
		if _, before := known[inode]; !before {
			written += bytes
		}
	}
	return s.wire.Load(), written
}
