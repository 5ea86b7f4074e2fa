// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/images"
	"github.com/kata-node/kata-node/payload/assemble"
	"github.com/kata-node/kata-node/payload/transport"
)

const (
	repository = "registry.kata.test/kata/payload"
	shim       = "usr/bin/containerd-shim-kata-v2"
	config     = "usr/share/defaults/configuration.toml"
)

// source is a registry that counts and can be made to misbehave. It serves parts of blobs as
// distribution does, which the registry below it cannot.
type source struct {
	server *httptest.Server
	inner  http.Handler
	dir    string
	// wire counts the bytes of all answers.
	wire atomic.Int64

	mu    sync.Mutex
	blobs []string
	// spoil is asked about every blob; it answers in the registry's place when it returns true.
	spoil func(w http.ResponseWriter, r *http.Request) bool
}

func newSource(tb testing.TB) *source {
	tb.Helper()
	s := &source{dir: tb.TempDir()}
	s.inner = registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(registry.NewDiskBlobHandler(s.dir)))
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = counted{w, &s.wire}
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			s.inner.ServeHTTP(w, r)
			return
		}
		s.mu.Lock()
		s.blobs = append(s.blobs, r.URL.Path)
		spoil := s.spoil
		s.mu.Unlock()
		if spoil != nil && spoil(w, r) {
			return
		}
		s.parts(w, r)
	}))
	tb.Cleanup(s.server.Close)
	return s
}

// parts serves what the request asks for of a blob.
func (s *source) parts(w http.ResponseWriter, r *http.Request) {
	algorithm, digest, _ := strings.Cut(path.Base(r.URL.Path), ":")
	blob, err := os.Open(filepath.Join(s.dir, algorithm, digest))
	if err != nil {
		s.inner.ServeHTTP(w, r)
		return
	}
	defer blob.Close() //nolint:errcheck // Nothing was written.
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, blob)
}

type counted struct {
	http.ResponseWriter
	bytes *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (s *source) address() string { return s.server.Listener.Addr().String() }

// fetched returns the blobs asked for since the last call, each once: a configuration is read
// before it is copied.
func (s *source) fetched() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	blobs := slices.Compact(slices.Sorted(slices.Values(s.blobs)))
	s.blobs = nil
	return blobs
}

func (s *source) misbehave(spoil func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil = spoil
}

// publish publishes a payload for this machine.
func (s *source) publish(t *testing.T, version string) (assemble.Payload, string) {
	t.Helper()
	return s.publishFor(t, version, runtime.GOARCH)
}

// publishFor builds a payload of two layers and a manifest, of which versions share the guest, and
// returns it with its name.
func (s *source) publishFor(t *testing.T, version, architecture string) (assemble.Payload, string) {
	t.Helper()
	return s.publishTree(t, version, architecture, map[string]string{
		shim: "shim " + version, config: "[runtime]\n", "usr/share/guest/initrd": strings.Repeat("guest", 10_000),
	})
}

func (s *source) publishTree(tb testing.TB, version, architecture string, files map[string]string) (assemble.Payload, string) {
	tb.Helper()
	return s.build(tb, assemble.Input{Tree: s.tree(tb, files), Description: assemble.Description{
		Version: version, Architecture: architecture,
		Components: []assemble.Component{{Name: "guest", Version: "1", Paths: []string{"usr/share/guest"}}, {Name: "shim"}},
	}})
}

func (s *source) tree(tb testing.TB, files map[string]string) string {
	tb.Helper()
	tree := tb.TempDir()
	for file, content := range files {
		path := filepath.Join(tree, file)
		require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(tb, os.WriteFile(path, []byte(content), 0o755))
	}
	return tree
}

// build builds and publishes what is staged.
func (s *source) build(tb testing.TB, in assemble.Input) (assemble.Payload, string) {
	tb.Helper()
	in.WorkDir = tb.TempDir()
	in.Description.Name, in.Description.ShimCompatibility = "kata-test", "1"
	in.Description.Handlers = []assemble.Handler{{Name: "kata-oc", Type: "vm", Shim: shim, Config: config, Dialect: "go"}}
	p, err := assemble.Build(tb.Context(), in)
	require.NoError(tb, err)
	target, err := transport.ParseTarget("docker://" + s.address() + "/kata/payload:v" + in.Description.Version)
	require.NoError(tb, err)
	_, err = transport.Push(tb.Context(), p.Image, target, transport.Options{SkipTLSVerify: true, WorkDir: tb.TempDir()})
	require.NoError(tb, err)
	s.fetched()
	return p, repository + "@" + p.Digest
}

// oneStore is held by the test that has a store: the library's list of open ones stands no company.
var oneStore sync.Mutex

// node is a root with a store and the host's configuration of registries.
type node struct {
	root  string
	store *images.Store
}

func newNode(tb testing.TB, s *source) node {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("a store of overlay layers needs root")
	}
	oneStore.Lock()
	tb.Cleanup(oneStore.Unlock)
	root := tb.TempDir()
	n := node{root, images.Below(root, host.StoreDir, host.StoreRunDir, "/var/lib/kubelet/config.json")}
	n.mirror(tb, s.address())
	n.put(tb, "/etc/containers/policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`)
	tb.Cleanup(func() { require.NoError(tb, n.store.Destroy(tb.Context())) })
	return n
}

func (n node) put(tb testing.TB, path, content string) {
	tb.Helper()
	file := filepath.Join(n.root, path)
	require.NoError(tb, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(tb, os.WriteFile(file, []byte(content), 0o600))
}

// mirror says where the registry really is.
func (n node) mirror(tb testing.TB, address string) {
	tb.Helper()
	n.put(tb, "/etc/containers/registries.conf", fmt.Sprintf("[[registry]]\nprefix = 'registry.kata.test'\nlocation = '%s'\ninsecure = true\n", address))
}

func (n node) pull(tb testing.TB, name string) {
	tb.Helper()
	require.NoError(tb, n.store.Pull(tb.Context(), name, func(host.Progress) {}))
}

func (n node) list(tb testing.TB) []host.Image {
	tb.Helper()
	list, err := n.store.List(tb.Context())
	require.NoError(tb, err)
	return list
}

// below returns the files below a directory of the root.
func (n node) below(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	root := filepath.Join(n.root, dir)
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	return files
}

// layerFile returns where a file of the payload lies in the store.
func (n node) layerFile(t *testing.T, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(n.root, host.StoreDir, "overlay/*/diff", name))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}
