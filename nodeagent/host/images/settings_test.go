// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

func TestTheNodesPullSecretOpensARegistry(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	f.answer(func(w http.ResponseWriter, r *http.Request, to http.Handler) {
		if name, password, _ := r.BasicAuth(); name != "node" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		to.ServeHTTP(w, r)
	})
	secret := func(login string) string {
		return fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, f.address(), base64.StdEncoding.EncodeToString([]byte(login)))
	}
	for _, content := range []string{"{}", secret("node:wrong")} {
		f.n.put(t, "/var/lib/kubelet/config.json", content)
		var fault *host.Fault
		require.ErrorAs(t, f.pull(), &fault)
		assert.Equal(t, host.Lasting, fault.Kind)
		assert.Contains(t, fault.Remedy, "/var/lib/kubelet/config.json")
	}
	f.n.put(t, "/var/lib/kubelet/config.json", secret("node:secret"))
	require.NoError(t, f.pull())
}

func TestMirrorsMayBeNamedInADropIn(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	f.registries("location = '%s'\ninsecure = true\n", dead)
	require.ErrorContains(t, f.pull(), "connection refused")
	f.n.put(t, "/etc/containers/registries.conf.d/99-mirrors.conf",
		fmt.Sprintf("[[registry]]\nprefix = 'registry.kata.test/kata'\nlocation = '%s/kata'\ninsecure = true\n", f.address()))
	require.NoError(t, f.pull())
}

// OpenShift keeps the certificates of registries there.
func TestAnAuthorityMayBeWhereDockerHasThem(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	f.tls(time.Now().Add(time.Hour), "/etc/docker/certs.d/%s/ca.crt")
	require.NoError(t, f.pull())
}

// In addition to three times what is fetched, as much stays free, for going back to another
// payload.
func TestRoomForGoingBackStaysFree(t *testing.T) {
	t.Parallel()
	n, _, dir := onFileSystem(t, host.StoreDir, "size=64m")
	s := newSource(t)
	n.mirror(t, s.address())
	p, name := s.publishTree(t, "2.0.0", runtime.GOARCH, map[string]string{shim: noise(t, 1, 2<<20), config: "[runtime]\n", initrd: "guest"})
	size := uint64(0)
	for _, l := range p.Layers {
		size += uint64(l.Size)
	}
	pull := func(left uint64) error {
		var now unix.Statfs_t
		require.NoError(t, unix.Statfs(dir, &now))
		n.keeps(host.Threshold{Signal: "imagefs.available", Value: "much", Dir: host.StoreDir, Amount: now.Bavail*uint64(now.Bsize) - left})
		return n.store.Pull(t.Context(), name, func(host.Progress) {})
	}
	require.Error(t, pull(0), "the store is open now")
	require.ErrorIs(t, pull(5*size), unix.ENOSPC, "enough for the payload alone")
	require.NoError(t, pull(7*size))
}
