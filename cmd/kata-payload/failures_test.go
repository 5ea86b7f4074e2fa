// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// declare writes a sources.toml with one archive in the same directory.
func declare(t *testing.T, where, pin string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sources.toml")
	text := "name = \"kata\"\nkata = \"4.2.0\"\nshimCompatibility = \"kata-4.2\"\n[[archives]]\n" + where + "\nshim = \"go\"\narchitecture = \"amd64\"\nsha256 = \"" + pin + "\"\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// archived is a sources.toml next to an archive with one file, of which keep bytes are left.
func archived(t *testing.T, h *tar.Header, keep int) string {
	t.Helper()
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	h.Size = int64(len("4.2.0\n"))
	require.NoError(t, w.WriteHeader(h))
	_, err := io.WriteString(w, "4.2.0\n")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	content := text.Bytes()[:min(text.Len(), keep)]
	file := declare(t, `file = "kata.tar"`, fmt.Sprintf("%x", sha256.Sum256(content)))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "kata.tar"), content, 0o600))
	return file
}

// refusing is a registry that can be read and not written.
func refusing(t *testing.T) string {
	t.Helper()
	return registryThat(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"errors":[{"code":"DENIED","message":"read only"}]}`, http.StatusForbidden)
	})
}

// What is bad about sources, trees and targets is in badinput_test.go.
func TestAMistakenBuildLeavesNothing(t *testing.T) {
	t.Parallel()
	kataPayload, dir := program(t), t.TempDir()
	to := "oci:" + filepath.Join(dir, "layout") + ":v1"
	fromSources := func(file string) []string {
		return []string{"build", "--sources", file, "--architecture", "amd64", "--cache", t.TempDir(), "--to", to}
	}
	fromTree := func(tree, to string, more ...string) []string {
		return append([]string{"build", "--from", tree, "--describe", "test/payload/payload.toml", "--to", to}, more...)
	}
	setuid, renamed := stage(t, "/bin/sh"), stage(t, "/bin/sh")
	require.NoError(t, os.Chmod(filepath.Join(setuid, "usr/bin/containerd-shim-kata-v2"), 0o755|os.ModeSetuid))
	require.NoError(t, os.Rename(filepath.Join(renamed, "usr/bin/containerd-shim-kata-v2"), filepath.Join(renamed, "usr/bin/another")))
	good, registry := stage(t, "/bin/sh"), refusing(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an archive that lacks a file":  {fromSources(archived(t, &tar.Header{Name: "opt/kata/VERSION", Mode: 0o644}, 1<<20)), "has no opt/kata/"},
		"a program with setuid":         {fromTree(setuid, to), "usr/bin/containerd-shim-kata-v2"},
		"a handler without its shim":    {fromTree(renamed, to), "usr/bin/containerd-shim-kata-v2"},
		"a key that cannot be set":      {fromTree(good, to, "--set", "kernel=maybe"), "the keys that can be set are"},
		"a registry that refuses":       {fromTree(good, registry, "--tls-verify=false"), "publishing to " + registry},
		"a key that is not there":       {fromTree(good, registry, "--tls-verify=false", "--sign-by-sigstore-private-key", "/nowhere"), "/nowhere"},
		"a profile without its archive": {append(fromSources(archived(t, &tar.Header{Name: "opt/kata/VERSION", Mode: 0o644}, 1<<20)), "--profile", "runtime-rs"), "declare one (upstream's name is kata-static-4.2.0-amd64.tar.zst)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad{args: c.args, want: c.want, place: dir}.fails(t, kataPayload)
		})
	}
}

// held is a server that stops in the middle of its answers to requests of some kind. Halted is
// closed when it has stopped for the first time.
func held(t *testing.T, kind func(r *http.Request) bool, other http.Handler) (address string, halted <-chan struct{}) {
	t.Helper()
	s, end := &slow{halted: make(chan struct{})}, make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !kind(r) {
			other.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(make([]byte, 1000)) //nolint:errcheck // The program has hung up.
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		s.once.Do(func() { close(s.halted) })
		<-end
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(end) })
	return strings.TrimPrefix(server.URL, "http://"), s.halted
}

// ended starts the program, ends it by a signal when come has returned, and checks that it leaves
// no temporary file.
func ended(t *testing.T, cmd *exec.Cmd, signal syscall.Signal, come func()) {
	t.Helper()
	temporary := t.TempDir()
	cmd.Env, cmd.Dir = append(append(os.Environ(), "TMPDIR="+temporary), cmd.Env...), repository
	require.NoError(t, cmd.Start())
	come()
	assert.NotEmpty(t, entries(t, temporary), "it was at work")
	require.NoError(t, cmd.Process.Signal(signal))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, 1, exit.ExitCode(), "it ended by itself")
	assert.Empty(t, entries(t, temporary))
}

func TestABuildThatIsEndedWhileItDownloadsLeavesNothing(t *testing.T) {
	t.Parallel()
	kataPayload, cache := program(t), t.TempDir()
	address, halted := held(t, func(*http.Request) bool { return true }, nil)
	file := declare(t, `url = "http://`+address+`/kata.tar"`, strings.Repeat("a", 64))
	cmd := exec.CommandContext(t.Context(), kataPayload, "build", "--sources", file, "--architecture", "amd64", "--cache", cache, "--to", "oci:"+t.TempDir())
	ended(t, cmd, syscall.SIGTERM, func() {
		<-halted
		require.Eventually(t, func() bool {
			parts := entries(t, cache)
			if len(parts) == 0 {
				return false
			}
			part, err := os.Stat(filepath.Join(cache, parts[0]))
			return err == nil && part.Size() > 0
		}, time.Minute, 10*time.Millisecond, "what has arrived is written")
	})
	assert.NotEmpty(t, entries(t, cache), "the next run resumes the download")
}

func TestABuildThatIsEndedWhileItCompressesLeavesNothing(t *testing.T) {
	t.Parallel()
	kataPayload, tree, dir := program(t), stage(t, "/bin/sh"), t.TempDir()
	// It takes no room, and some seconds at least.
	require.NoError(t, os.Truncate(filepath.Join(tree, "opt/kata/share/kata-containers/kata-test.image"), 3<<30))
	master, slave := terminal(t)
	cmd := exec.CommandContext(t.Context(), kataPayload, "build", "--from", tree, "--describe", "test/payload/payload.toml", "--to", "oci:"+filepath.Join(dir, "layout"))
	cmd.Env, cmd.Stderr = []string{"TERM=xterm"}, slave
	ended(t, cmd, syscall.SIGTERM, func() {
		require.NoError(t, slave.Close())
		var seen []byte
		buffer := make([]byte, 4096)
		for !bytes.Contains(seen, []byte("compressing guest")) {
			n, err := master.Read(buffer)
			require.NoError(t, err, string(seen))
			seen = append(seen, buffer[:n]...)
		}
		go func() { _, _ = io.Copy(io.Discard, master) }() //nolint:errcheck // What comes does not matter.
	})
	assert.Empty(t, entries(t, dir))
}

func TestABuildThatIsEndedWhileItPushesLeavesNothing(t *testing.T) {
	t.Parallel()
	kataPayload := program(t)
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	address, halted := held(t, func(r *http.Request) bool { return r.Method == http.MethodPatch }, store)
	cmd := exec.CommandContext(t.Context(), kataPayload, "build", "--from", stage(t, "/bin/sh"), "--describe", "test/payload/payload.toml", "--tls-verify=false", "--to", "docker://"+address+"/kata/payload:v1")
	ended(t, cmd, syscall.SIGINT, func() { <-halted })
	_, _, err := run(t, kataPayload, "inspect", "--tls-verify=false", "docker://"+address+"/kata/payload:v1")
	require.Error(t, err, "there is no image")
}
