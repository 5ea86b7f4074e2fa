// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slow is a registry that can stop in the middle of every layer that it serves.
type slow struct {
	stop atomic.Bool
	// halted is closed when it has stopped.
	halted chan struct{}
	once   sync.Once
}

func (s *slow) handler(end <-chan struct{}) http.Handler {
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		store.ServeHTTP(recorder, r)
		text := recorder.Body.Bytes()
		layer := s.stop.Load() && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && !bytes.HasPrefix(text, []byte("{"))
		maps.Copy(w.Header(), recorder.Header())
		w.WriteHeader(recorder.Code)
		if !layer {
			_, _ = w.Write(text) //nolint:errcheck // The program has hung up.
			return
		}
		_, _ = w.Write(text[:len(text)/2]) //nolint:errcheck // The program has hung up.
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		s.once.Do(func() { close(s.halted) })
		<-end
	})
}

// entries are what is in a directory, or nothing where there is none.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	there, err := os.ReadDir(dir)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	for _, entry := range there {
		names = append(names, entry.Name())
	}
	return names
}

func TestAKilledPushLeavesNothingThatCountsAsAnImage(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	for _, kind := range []string{"oci:", "oci-archive:"} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(kind+signal.String(), func(t *testing.T) {
				t.Parallel()
				killed(t, kataPayload, kind, signal)
			})
		}
	}
}

// killed ends a push in the middle, and does it once more.
func killed(t *testing.T, kataPayload, kind string, signal syscall.Signal) {
	t.Helper()
	s, end := &slow{halted: make(chan struct{})}, make(chan struct{})
	server := httptest.NewServer(s.handler(end))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(end) })
	from := "docker://" + strings.TrimPrefix(server.URL, "http://") + "/kata/payload:v1"
	_, diag, err := run(t, kataPayload, "build", "--from", stage(t, "/bin/sh"), "--describe", "test/payload/payload.toml", "--to", from, "--tls-verify=false")
	require.NoError(t, err, diag)

	dir, temporary := t.TempDir(), t.TempDir()
	to := kind + filepath.Join(dir, "target")
	s.stop.Store(true)
	cmd := exec.CommandContext(t.Context(), kataPayload, "push", "--tls-verify=false", from, to)
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-s.halted:
	case err := <-ended:
		require.FailNow(t, "the push ended before its layer was held", "%v", err)
	}
	require.NoError(t, cmd.Process.Signal(signal))
	require.Error(t, <-ended)
	s.stop.Store(false)

	_, _, err = run(t, kataPayload, "inspect", to)
	require.Error(t, err, "there is no image")
	if signal == syscall.SIGTERM {
		assert.Empty(t, entries(t, dir))
		assert.Empty(t, entries(t, temporary))
	}
	_, diag, err = run(t, kataPayload, "push", "--tls-verify=false", from, to)
	require.NoError(t, err, diag)
	assert.Equal(t, []string{"target"}, entries(t, dir))
	if kind == "oci:" {
		assert.Equal(t, []string{"blobs", "index.json", "oci-layout"}, entries(t, filepath.Join(dir, "target")))
	}
	_, diag, err = run(t, kataPayload, "inspect", to)
	require.NoError(t, err, diag)
}
