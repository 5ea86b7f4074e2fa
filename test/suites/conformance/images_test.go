// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"io"
	"log" //nolint:depguard // The registry takes no other.
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/images"
)

// stubbornPause is a pause image whose process ignores SIGTERM.
const stubbornPause = images.Registry + "/kata/stubborn-pause:test"

// serveImages starts a registry with the images of test pods, among them those that CRI-O pulls for
// sandboxes, and returns its host:port.
func serveImages(ctx context.Context, programs bed.Programs) (address string, end func(), err error) {
	set, err := programs.Images(ctx)
	if err != nil {
		return "", nil, err
	}
	loop := &fstest.MapFile{Data: []byte("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 3600; done\n"), Mode: 0o755}
	if set[stubbornPause], err = images.WithLayer(set[images.Busybox], fstest.MapFS{"bin/loop": loop}, v1.Config{Entrypoint: []string{"/bin/loop"}}); err != nil {
		return "", nil, err
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	address = strings.TrimPrefix(server.URL, "http://")
	return address, server.Close, set.Push(ctx, address)
}

func TestImagesAreTakenFromAReadOnlyStore(t *testing.T) {
	t.Parallel()
	n := newNodeIn(t, overlayDir(t))
	n.args = []string{"--storage-driver=overlay", "--storage-opt=overlay.imagestore=" + imageStore(t)}
	write(n, n.path("registries.conf"), "") // No registry can be reached.
	n.dropIn("50-pause", "[crio.image]\npause_image = \""+images.Pause+"\"\n")
	withKata(n, n)
	requireShim(n, n.run("a", "kata"))
	for _, named := range []string{images.Pause, images.Busybox, images.Agnhost} {
		status, err := n.images().ImageStatus(n.Context(), &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: named}})
		require.NoError(n, err)
		assert.Equal(n, []string{named}, status.GetImage().GetRepoTags())
	}
}

func TestImagesArePulledFromARegistry(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.start()
	for _, named := range []string{images.Busybox, images.Agnhost} {
		spec := &runtimeapi.ImageSpec{Image: named}
		_, err := n.images().PullImage(n.Context(), &runtimeapi.PullImageRequest{Image: spec})
		require.NoError(n, err)
		status, err := n.images().ImageStatus(n.Context(), &runtimeapi.ImageStatusRequest{Image: spec})
		require.NoError(n, err)
		assert.NotZero(n, status.GetImage().GetSize())
	}
}

// imageStore is made where nodes have theirs, so that it is made once.
func imageStore(t *testing.T) string {
	t.Helper()
	set, err := built.programs.Images(t.Context())
	require.NoError(t, err)
	store, err := set.Store(t.Context(), cache(t), t.Output())
	require.NoError(t, err)
	return store
}

// overlayDir is on the disk of the checkout: the temporary directory may be an overlay itself.
func overlayDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(cache(t), "crio-") //nolint:usetesting // See above.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func cache(t *testing.T) string {
	t.Helper()
	workspace, err := bed.FindWorkspace()
	require.NoError(t, err)
	dir := workspace.Path(".cache", "bed")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}
