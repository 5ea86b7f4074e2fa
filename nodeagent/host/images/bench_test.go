// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/internal/peak"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/images"
	"github.com/kata-node/kata-node/payload/manifest"
)

// large is a payload in a registry that keeps nothing in memory, and a store to pull it into.
type large struct {
	store     *images.Store
	name, url string
	size      int64
}

func newLarge(tb testing.TB, size int64, level int) large {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("a store of overlay layers needs root")
	}
	oneStore.Lock()
	tb.Cleanup(oneStore.Unlock)
	blobs := tb.TempDir()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs))))
	tb.Cleanup(server.Close)
	image := largeImage(tb, blobs, size, level)
	address := server.Listener.Addr().String()
	at, err := name.ParseReference(address+"/kata/payload:large", name.Insecure)
	require.NoError(tb, err)
	require.NoError(tb, remote.Write(at, image, remote.WithContext(tb.Context())))
	digest, err := image.Digest()
	require.NoError(tb, err)
	layers, err := image.Layers()
	require.NoError(tb, err)
	layer, err := layers[0].Digest()
	require.NoError(tb, err)

	root := tb.TempDir()
	for file, content := range map[string]string{
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"registries.conf": fmt.Sprintf("[[registry]]\nlocation = '%s'\ninsecure = true\n", address),
	} {
		require.NoError(tb, os.MkdirAll(filepath.Join(root, "etc/containers"), 0o755))
		require.NoError(tb, os.WriteFile(filepath.Join(root, "etc/containers", file), []byte(content), 0o600))
	}
	return large{
		store: images.Below(root, host.StoreDir, host.StoreRunDir, "/auth.json"), size: size,
		name: address + "/kata/payload@" + digest.String(), url: server.URL + "/v2/kata/payload/blobs/" + layer.String(),
	}
}

// largeImage has one layer with one file, three quarters of which remain when it is compressed as
// BenchmarkPull does. The layer is put where the registry looks for it.
func largeImage(tb testing.TB, blobs string, size int64, level int) v1.Image {
	tb.Helper()
	staged := filepath.Join(tb.TempDir(), "layer.tar.gz")
	file, err := os.Create(staged)
	require.NoError(tb, err)
	compressed, err := gzip.NewWriterLevel(file, level)
	require.NoError(tb, err)
	archive := tar.NewWriter(compressed)
	require.NoError(tb, archive.WriteHeader(&tar.Header{Name: "guest.img", Size: size, Mode: 0o644, Typeflag: tar.TypeReg}))
	_, err = io.CopyN(archive, sixBits{rand.NewChaCha8([32]byte{})}, size)
	require.NoError(tb, err)
	for _, c := range []io.Closer{archive, compressed, file} {
		require.NoError(tb, c.Close())
	}
	layer, err := tarball.LayerFromFile(staged)
	require.NoError(tb, err)
	digest, err := layer.Digest()
	require.NoError(tb, err)
	require.NoError(tb, os.MkdirAll(filepath.Join(blobs, digest.Algorithm), 0o755))
	require.NoError(tb, os.Link(staged, filepath.Join(blobs, digest.Algorithm, digest.Hex)))
	image, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(tb, err)
	config, err := image.ConfigFile()
	require.NoError(tb, err)
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Labels = map[string]string{manifest.Label: "sha256:" + strings.Repeat("0", 64)}
	image, err = mutate.ConfigFile(image, config)
	require.NoError(tb, err)
	return image
}

// sixBits are random bytes of which a quarter can be compressed away.
type sixBits struct{ source io.Reader }

func (s sixBits) Read(p []byte) (int, error) {
	n, err := s.source.Read(p)
	for i := range p[:n] {
		p[i] &= 0x3f
	}
	return n, err
}

func (l large) pull(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, l.store.Pull(tb.Context(), l.name, func(host.Progress) {}))
}

// BenchmarkPull pulls a payload of 300 MB. The baseline is what cannot be saved: the same bytes
// fetched, decompressed, written and flushed.
func BenchmarkPull(b *testing.B) {
	l := newLarge(b, 300_000_000, gzip.HuffmanOnly)
	b.Run("baseline", func(b *testing.B) {
		b.SetBytes(l.size)
		for b.Loop() {
			l.fetch(b)
		}
	})
	b.Run("pull", func(b *testing.B) {
		b.SetBytes(l.size)
		peak.Forget(b)
		for b.Loop() {
			l.pull(b)
			require.NoError(b, l.store.Destroy(b.Context()))
		}
		b.ReportMetric(peak.Kilobytes(b), "peak-kB")
		var children unix.Rusage
		require.NoError(b, unix.Getrusage(unix.RUSAGE_CHILDREN, &children))
		b.ReportMetric(float64(children.Maxrss), "child-peak-kB")
	})
}

func (l large) fetch(b *testing.B) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, l.url, nil)
	require.NoError(b, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(b, err)
	defer func() { require.NoError(b, answer.Body.Close()) }()
	content, err := gzip.NewReader(answer.Body)
	require.NoError(b, err)
	file, err := os.Create(filepath.Join(b.TempDir(), "layer"))
	require.NoError(b, err)
	_, err = io.Copy(file, content)
	require.NoError(b, err)
	require.NoError(b, file.Sync())
	require.NoError(b, file.Close())
	require.NoError(b, os.Remove(file.Name()))
}

// What is allocated in all is more than what is ever in use. A layer that was read as a whole would
// be 64 MB.
func TestAPullNeedsNoMemoryForItsLayers(t *testing.T) { //nolint:paralleltest // other tests allocate, too
	l := newLarge(t, 64_000_000, gzip.NoCompression)
	t.Cleanup(func() { require.NoError(t, l.store.Destroy(t.Context())) })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l.pull(t)
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(24<<20))
}
