// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// registryThat is one that answers what is written to it in some way.
func registryThat(t *testing.T, answers http.HandlerFunc) string {
	t.Helper()
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			store.ServeHTTP(w, r)
			return
		}
		answers(w, r)
	}))
	t.Cleanup(server.Close)
	return "docker://" + strings.TrimPrefix(server.URL, "http://") + "/kata/payload:v1"
}

// full is a file system without room.
func full(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func badTargets(t *testing.T) map[string]bad {
	t.Helper()
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	reset := func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPatch {
			store.ServeHTTP(w, r)
			return
		}
		_, _ = io.CopyN(io.Discard, r.Body, 10) //nolint:errcheck // What follows ends the request in any case.
		panic(http.ErrAbortHandler)
	}
	broken := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "stack\ntrace", http.StatusBadGateway) }
	all := map[string]bad{}
	for name, c := range map[string]struct{ to, want string }{
		"unwritable target":   {"oci:/proc/nowhere/layout:v1", ": no such file or directory: check its name"},
		"registry that fails": {registryThat(t, broken), "502"},
		"reset in a blob":     {registryThat(t, reset), "try again: what has arrived is not sent again"},
	} {
		all[name] = bad{args: []string{"build", "--tls-verify=false", "--from", stage(t, "/bin/sh"), "--describe", "test/payload/payload.toml", "--to", c.to}, want: c.want}
	}
	if os.Geteuid() != 0 {
		t.Log("mounting a file system without room needs root")
		return all
	}
	target, temporary := full(t), full(t)
	build := func(to string) []string {
		return []string{"build", "--from", stage(t, "/bin/sh"), "--describe", "test/payload/payload.toml", "--to", to}
	}
	all["no room at the target"] = bad{args: build("oci:" + target + "/layout:v1"), want: "make room there, or set TMPDIR", place: target}
	all["no room for layers"] = bad{args: build("oci:" + t.TempDir() + "/layout:v1"), want: "no space left on device", temporary: temporary}
	return all
}
