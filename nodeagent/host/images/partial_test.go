// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/assemble"
)

const guestDir = "usr/share/guest/"

// noise does not compress, and is the same for the same seed.
func noise(tb testing.TB, seed byte, size int64) string {
	tb.Helper()
	content, err := io.ReadAll(io.LimitReader(rand.NewChaCha8([32]byte{seed}), size))
	require.NoError(tb, err)
	return string(content)
}

// twoVersions publishes payloads that differ in one small file of the lowest layer.
func (s *source) twoVersions(t *testing.T) (first, second string, m assemble.Payload) {
	t.Helper()
	files := map[string]string{
		shim: noise(t, 1, 2<<20), config: "[runtime]\n", guestDir + "vmlinuz": noise(t, 2, 1<<20), guestDir + "firmware": noise(t, 3, 100_000),
	}
	_, first = s.publishTree(t, "1.0.0", runtime.GOARCH, files)
	files = maps.Clone(files)
	files[guestDir+"firmware"] = noise(t, 4, 100_000)
	m, second = s.publishTree(t, "2.0.0", runtime.GOARCH, files)
	s.wire.Store(0)
	return first, second, m
}

// copies returns what the store has of a file, once for each inode.
func (n node) copies(t *testing.T, name string) (inodes []os.FileInfo) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(n.root, host.StoreDir, "overlay/*/diff", name))
	require.NoError(t, err)
	require.NotEmpty(t, found)
files:
	for _, file := range found {
		info, err := os.Stat(file)
		require.NoError(t, err)
		for _, known := range inodes {
			if os.SameFile(known, info) {
				continue files
			}
		}
		inodes = append(inodes, info)
	}
	return inodes
}

// The layers above one that changed are others, with the same files.
func TestAnUpdateFetchesAndWritesOnlyFilesThatChanged(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	first, second, p := s.twoVersions(t)
	n.pull(t, first)
	assert.Greater(t, s.wire.Swap(0), int64(3<<20))
	n.pull(t, second)
	assert.Less(t, s.wire.Load(), int64(200_000))
	for _, same := range []string{shim, guestDir + "vmlinuz"} {
		assert.Len(t, n.copies(t, same), 1, same)
	}
	assert.Len(t, n.copies(t, guestDir+"firmware"), 2)
	list := n.list(t)
	require.Len(t, list, 2)
	for _, image := range list {
		if image.Version == "1.0.0" {
			require.NoError(t, n.store.Delete(t.Context(), image.ID))
		}
	}
	assert.NoError(t, mounted(t, n, p.Manifest))
}

// refusals are the ways of registries that do not serve several parts of a blob at once.
func refusals(s *source) map[string]http.HandlerFunc {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such thing", code) }
	}
	return map[string]http.HandlerFunc{
		"the whole blob": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			s.parts(w, r)
		},
		"the first part alone": func(w http.ResponseWriter, r *http.Request) {
			first, _, _ := strings.Cut(r.Header.Get("Range"), ",")
			r.Header.Set("Range", first)
			s.parts(w, r)
		},
		"200 OK and nothing":        status(http.StatusOK),
		"416 Range Not Satisfiable": status(http.StatusRequestedRangeNotSatisfiable),
		"501 Not Implemented":       status(http.StatusNotImplemented),
	}
}

func TestARegistryThatServesNoPartsIsPulledFromWhole(t *testing.T) {
	t.Parallel()
	for name := range refusals(nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSource(t)
			n := newNode(t, s)
			first, second, p := s.twoVersions(t)
			var asked atomic.Int64
			refuse := refusals(s)[name]
			s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.Header.Get("Range"), ",") {
					return false
				}
				asked.Add(1)
				refuse(w, r)
				return true
			})
			n.pull(t, first)
			assert.Positive(t, asked.Swap(0))
			assert.Less(t, s.wire.Swap(0), int64(3_400_000), "nothing is fetched twice")
			s.fetched()

			n.pull(t, second)
			assert.Zero(t, asked.Load(), "the registry is remembered")
			assert.Len(t, s.fetched(), 3, "lowest layer, manifest and configuration: the shim is there")
			assert.Less(t, s.wire.Load(), int64(1_200_000))
			require.Len(t, n.list(t), 2)
			for _, image := range n.list(t) {
				if image.Version == "1.0.0" {
					require.NoError(t, n.store.Delete(t.Context(), image.ID))
				}
			}
			assert.NoError(t, mounted(t, n, p.Manifest))
		})
	}
}

func TestAConnectionThatIsResetSaysNothingOfTheRegistry(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	n := newNode(t, s)
	first, second, p := s.twoVersions(t)
	n.pull(t, first)
	lowest := p.Layers[0].Digest
	var resets, parts atomic.Int64
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") != "" {
			parts.Add(1)
		}
		// The second request for it is that for its files.
		if path.Base(r.URL.Path) != lowest || r.Header.Get("Range") == "" || resets.Add(1) != 2 {
			return false
		}
		answer := httptest.NewRecorder()
		s.parts(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, err := w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		assert.NoError(t, err)
		assert.NoError(t, http.NewResponseController(w).Flush())
		panic(http.ErrAbortHandler)
	})
	n.pull(t, second)
	assert.GreaterOrEqual(t, resets.Load(), int64(2))
	parts.Store(0)

	third := map[string]string{shim: noise(t, 7, 1000), config: "[runtime]\n", guestDir + "vmlinuz": noise(t, 2, 1<<20)}
	_, name := s.publishTree(t, "3.0.0", runtime.GOARCH, third)
	n.pull(t, name)
	assert.Positive(t, parts.Load(), "parts are asked for again")
	assert.Len(t, n.list(t), 3)
}
