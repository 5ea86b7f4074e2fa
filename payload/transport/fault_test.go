// SPDX-License-Identifier: Apache-2.0

package transport_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/payload/transport"
)

// hangUp ends a request in the middle of what it sends.
func hangUp(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPatch {
		return false
	}
	_, _ = io.CopyN(io.Discard, r.Body, 10) //nolint:errcheck // What follows ends the request in any case.
	panic(http.ErrAbortHandler)
}

func answer(code int, text string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return false
		}
		http.Error(w, text, code)
		return true
	}
}

func TestARegistrysFaultIsOneSentenceAndTheTagStays(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		with func(http.ResponseWriter, *http.Request) bool
		want []string
	}{
		"refused":    {answer(http.StatusForbidden, "quota\nexceeded"), []string{"quota", "podman login "}},
		"denied":     {answer(http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`), []string{"podman login "}},
		"broken":     {answer(http.StatusInternalServerError, "stack\ntrace"), []string{"500", "the fault is with "}},
		"overloaded": {answer(http.StatusServiceUnavailable, `{"errors":[{"code":"UNAVAILABLE"}]}`), []string{"the fault is with "}},
		"reset":      {hangUp, []string{"try again: what has arrived is not sent again"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var on atomic.Bool
			host := serve(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) bool { return on.Load() && fault.with(w, r) })
			to := target(t, "docker://"+host+"/kata/payload:latest")
			first := payload(t, "1.0.0")
			_, err := transport.Push(t.Context(), first.Image, to, options(t))
			require.NoError(t, err)
			on.Store(true)
			_, err = transport.Push(t.Context(), payload(t, "2.0.0").Image, to, options(t))
			require.ErrorContains(t, err, "publishing to "+to.String()+": ")
			assert.NotContains(t, err.Error(), "\n")
			for _, want := range fault.want {
				require.ErrorContains(t, err, want)
			}
			on.Store(false)
			sameManifest(t, first, to)
		})
	}
}

func TestARegistryThatIsNotThereIsOneSentence(t *testing.T) {
	t.Parallel()
	_, err := transport.Push(t.Context(), payload(t, "1.0.0").Image, target(t, "docker://127.0.0.1:1/kata/payload"), options(t))
	require.ErrorContains(t, err, "connection refused: check the name 127.0.0.1:1, and that it can be reached from here")
	assert.NotContains(t, err.Error(), "\n")
}

// Whatever a registry stores, what is read from it is what the digest says.
func TestADamagedBlobIsNotRead(t *testing.T) {
	t.Parallel()
	var damage atomic.Bool
	host := serve(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) bool {
		if !damage.Load() || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		_, err := io.WriteString(w, "damaged")
		return err == nil
	})
	p := payload(t, "1.0.0")
	at := target(t, "docker://"+host+"/kata/payload:v1")
	_, err := transport.Push(t.Context(), p.Image, at, options(t))
	require.NoError(t, err)
	opened := openTarget(t, at)
	damage.Store(true)
	_, _, err = transport.Manifest(opened.Images[0])
	require.ErrorContains(t, err, "is damaged")
	dir := filepath.Join(t.TempDir(), "layout")
	_, err = transport.Copy(t.Context(), at, target(t, "oci:"+dir), options(t))
	require.Error(t, err)
	assert.NoDirExists(t, dir)
}

// small is a directory without room for a payload.
func small(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

func TestWithoutRoomNothingIsLeft(t *testing.T) {
	t.Parallel()
	dir := small(t)
	p := payload(t, "1.0.0")
	for _, to := range []string{"oci:" + dir + "/new/layout:v1", "oci-archive:" + dir + "/payload.tar:v1"} {
		_, err := transport.Push(t.Context(), p.Image, target(t, to), options(t))
		require.ErrorIs(t, err, unix.ENOSPC, to)
		require.ErrorContains(t, err, "make room there, or set TMPDIR")
		assert.NotContains(t, err.Error(), "\n")
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, to)
	}
}

func TestAStoreWithoutRoomIsOneSentence(t *testing.T) {
	t.Parallel()
	dir := small(t)
	_, err := transport.Push(t.Context(), payload(t, "1.0.0").Image, target(t, "containers-storage:[vfs@"+dir+"/root+"+dir+"/run]localhost/payload:v1"), options(t))
	require.ErrorContains(t, err, "publishing to containers-storage:[vfs@"+dir)
	require.ErrorContains(t, err, "no space left on device")
	require.ErrorContains(t, err, "make room there")
	assert.NotContains(t, err.Error(), "\n")
}

func TestAPlaceThatCannotBeWrittenIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, to := range []string{"oci:" + file + "/layout", "oci-archive:" + file + "/payload.tar", "oci-archive:/nowhere/payload.tar"} {
		_, err := transport.Push(t.Context(), payload(t, "1.0.0").Image, target(t, to), options(t))
		require.ErrorContains(t, err, "publishing to "+to+": ")
		assert.NotContains(t, err.Error(), "\n")
	}
}

func TestAnErrorLeavesALayoutAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	push(t, payload(t, "1.0.0"), "oci:"+dir+":v1")
	before := files(t, dir)
	_, err := transport.Push(t.Context(), broken{payload(t, "2.0.0").Image}, target(t, "oci:"+dir+":v1"), options(t))
	require.Error(t, err)
	assert.Equal(t, before, files(t, dir))
	parent := t.TempDir()
	_, err = transport.Push(t.Context(), broken{payload(t, "2.0.0").Image}, target(t, "oci:"+parent+"/a/b/layout:v1"), options(t))
	require.Error(t, err)
	assert.Empty(t, files(t, parent))
}

// files returns the names of everything in a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			names = append(names, path)
		}
		return err
	}))
	return names
}
