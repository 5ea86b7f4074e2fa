// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
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
	// wire counts the bytes of all answers.
	wire atomic.Int64

	mu    sync.Mutex
	blobs []string
	// spoil is asked about every blob; it answers in the registry's place when it returns true.
	spoil func(w http.ResponseWriter, r *http.Request) bool
}

func newSource(t *testing.T) *source {
	t.Helper()
	s := &source{inner: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
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
	t.Cleanup(s.server.Close)
	return s
}

// parts serves what the request asks for of a blob.
func (s *source) parts(w http.ResponseWriter, r *http.Request) {
	whole := r.Clone(r.Context())
	whole.Header.Del("Range")
	answer := httptest.NewRecorder()
	s.inner.ServeHTTP(answer, whole)
	if answer.Code != http.StatusOK {
		s.inner.ServeHTTP(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(answer.Body.Bytes()))
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

func (s *source) publishTree(t *testing.T, version, architecture string, files map[string]string) (assemble.Payload, string) {
	t.Helper()
	tree := t.TempDir()
	for file, content := range files {
		path := filepath.Join(tree, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o755))
	}
	p, err := assemble.Build(t.Context(), assemble.Input{Tree: tree, WorkDir: t.TempDir(), Description: assemble.Description{
		Name: "kata-test", Version: version, Architecture: architecture, ShimCompatibility: "1",
		Handlers:   []assemble.Handler{{Name: "kata-oc", Type: "vm", Shim: shim, Config: config, Dialect: "go"}},
		Components: []assemble.Component{{Name: "guest", Version: "1", Paths: []string{"usr/share/guest"}}, {Name: "shim"}},
	}})
	require.NoError(t, err)
	target, err := transport.ParseTarget("docker://" + s.address() + "/kata/payload:v" + version)
	require.NoError(t, err)
	_, err = transport.Push(t.Context(), p.Image, target, transport.Options{SkipTLSVerify: true})
	require.NoError(t, err)
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

func newNode(t *testing.T, s *source) node {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a store of overlay layers needs root")
	}
	oneStore.Lock()
	t.Cleanup(oneStore.Unlock)
	root := t.TempDir()
	n := node{root, images.Below(root, host.StoreDir, host.StoreRunDir, "/var/lib/kubelet/config.json")}
	n.mirror(t, s.address())
	n.put(t, "/etc/containers/policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`)
	t.Cleanup(func() { require.NoError(t, n.store.Destroy(t.Context())) })
	return n
}

func (n node) put(t *testing.T, path, content string) {
	t.Helper()
	file := filepath.Join(n.root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
}

// mirror says where the registry really is.
func (n node) mirror(t *testing.T, address string) {
	t.Helper()
	n.put(t, "/etc/containers/registries.conf", fmt.Sprintf("[[registry]]\nprefix = 'registry.kata.test'\nlocation = '%s'\ninsecure = true\n", address))
}

func (n node) pull(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, n.store.Pull(t.Context(), name, func(host.Progress) {}))
}

func (n node) list(t *testing.T) []host.Image {
	t.Helper()
	list, err := n.store.List(t.Context())
	require.NoError(t, err)
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
