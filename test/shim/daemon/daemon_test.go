// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/ttrpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/kata-node/kata-node/test/shim/daemon"
)

// serve runs a shim on a socket of its own.
func serve(t *testing.T) (client taskapi.TTRPCTaskService, socket string, ended <-chan error) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	require.NoError(t, err)
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	dir, done := bundle(t, ""), make(chan error, 1)
	go func() { done <- daemon.Run(t.Context(), file, dir) }()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "unix", socket)
	require.NoError(t, err)
	connected := ttrpc.NewClient(conn)
	t.Cleanup(func() { _ = connected.Close() }) //nolint:errcheck // nothing is lost with it
	return taskapi.NewTTRPCTaskClient(connected), socket, done
}

func bundle(t *testing.T, network string) string {
	t.Helper()
	dir := t.TempDir()
	spec := fmt.Sprintf(`{"linux": {"namespaces": [{"type": "network", "path": %q}]}}`, network)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(spec), 0o600))
	return dir
}

func TestTheShimServesASandboxAndLeavesNoSocket(t *testing.T) {
	t.Parallel()
	client, socket, ended := serve(t)
	_, err := client.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "a", Bundle: bundle(t, "/run/netns/a")})
	require.NoError(t, err)
	who, err := client.Connect(t.Context(), &taskapi.ConnectRequest{ID: "a"})
	require.NoError(t, err)
	assert.EqualValues(t, os.Getpid(), who.GetShimPid())
	_, err = client.Delete(t.Context(), &taskapi.DeleteRequest{ID: "a"})
	require.NoError(t, err)
	_, err = client.Shutdown(t.Context(), &taskapi.ShutdownRequest{ID: "a"})
	require.NoError(t, err)
	require.NoError(t, <-ended)
	assert.NoFileExists(t, socket)
}

func TestTheHostsOwnNetworkIsRefusedByDefault(t *testing.T) {
	t.Parallel()
	client, _, _ := serve(t)
	_, err := client.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "a", Bundle: bundle(t, fmt.Sprintf("/proc/%d/ns/net", os.Getpid()))})
	require.ErrorContains(t, err, "Host networking requested")
	_, err = client.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "b", Bundle: bundle(t, "")})
	assert.NoError(t, err, "without a path the runtime makes a namespace")
}

func TestTheGuestsImageIsHeldWhileTheShimRuns(t *testing.T) {
	t.Parallel()
	client, _, _ := serve(t)
	dir := t.TempDir()
	image := filepath.Join(dir, "guest.image")
	require.NoError(t, os.WriteFile(image, []byte("a guest"), 0o600))
	require.NoError(t, create(t, client, dir, image))
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	assert.Contains(t, string(maps), image)

	other, _, _ := serve(t)
	assert.ErrorContains(t, create(t, other, dir, filepath.Join(dir, "gone.image")), "opening the guest's image: open "+dir+"/gone.image: no such file")
}

// create makes a sandbox whose configuration names the guest's image.
func create(t *testing.T, client taskapi.TTRPCTaskService, dir, image string) error {
	t.Helper()
	config := filepath.Join(dir, "configuration.toml")
	require.NoError(t, os.WriteFile(config, []byte(fmt.Sprintf("[hypervisor.qemu]\nimage = %q\n", image)), 0o600))
	options, err := anypb.New(&runtimeoptions.Options{ConfigPath: config})
	require.NoError(t, err)
	_, err = client.Create(t.Context(), &taskapi.CreateTaskRequest{ID: "a", Bundle: bundle(t, "/run/netns/a"), Options: options})
	return err
}
