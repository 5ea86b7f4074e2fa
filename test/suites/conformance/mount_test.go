// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// payloadMount is a read-only mount that holds a copy of a file. The mount below it is shared, as
// /run is on a node: that one's propagation decides whether the shim's copy of the payload counts
// for an umount.
func (n *node) payloadMount(file string) (dir string) {
	n.Helper()
	dir = n.path("run/1/payload")
	if _, err := os.Stat(n.path("run")); err != nil {
		shared(n, n.path("run"))
	}
	shared(n, dir)
	content, err := os.ReadFile(file)
	require.NoError(n, err)
	path := filepath.Join(dir, filepath.Base(file))
	require.NoError(n, os.WriteFile(path, content, 0o600))
	require.NoError(n, os.Chmod(path, 0o755))
	require.Eventually(n, func() bool { // a process forked meanwhile holds the file open for writing until it executes
		return syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY|syscall.MS_BIND, "") == nil
	}, patience, interval)
	return dir
}

func TestAPayloadCannotBeUnmountedWhileAShimRunsFromIt(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	payload := n.payloadMount(shimOf("v1"))
	n.dropIn("60-kata", n.hostNetworkHandler("kata", filepath.Join(payload, "containerd-shim-kata-v2")))
	n.start()
	id := n.run("a", "kata")
	assert.Equal(n, filepath.Join(payload, "containerd-shim-kata-v2"), executable(n, id))
	require.ErrorIs(n, syscall.Unmount(payload, 0), syscall.EBUSY)
	n.restart()
	require.ErrorIs(n, syscall.Unmount(payload, 0), syscall.EBUSY)
	require.NoError(n, n.stopSandbox(id))
	require.NoError(n, n.removeSandbox(id))
	require.Eventually(n, func() bool { return syscall.Unmount(payload, 0) == nil }, patience, interval)
}

func shared(tb testing.TB, dir string) {
	tb.Helper()
	require.NoError(tb, os.MkdirAll(dir, 0o755))
	require.NoError(tb, syscall.Mount("test", dir, "tmpfs", 0, ""))
	require.NoError(tb, syscall.Mount("", dir, "", syscall.MS_SHARED, ""))
}

// ociHandler is a handler whose sandboxes have an infra container, and whose runtime runs only for
// as long as a request takes.
func ociHandler(name, path, root string) string {
	return fmt.Sprintf("[crio.runtime]\ndrop_infra_ctr = false\n[crio.runtime.runtimes.%s]\nruntime_path = %q\nruntime_type = \"oci\"\nruntime_root = %q\n", name, path, root)
}

func TestStoppingASandboxOfAnOCIHandlerHangsWhileItsPayloadIsUnmounted(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	program := filepath.Join(built.dir, "oci-runtime")
	payload := n.payloadMount(program)
	n.dropIn("60-oci", ociHandler("other", filepath.Join(payload, "oci-runtime"), n.path("oci-root")))
	n.start()
	id := n.run("a", "other")

	require.NoError(n, syscall.Unmount(payload, 0), "nothing resident runs from it")
	ctx, cancel := context.WithTimeout(n.Context(), 3*time.Second)
	defer cancel()
	_, err := n.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	assert.Equal(n, codes.DeadlineExceeded, status.Code(err), "%v", err)

	n.payloadMount(program)
	require.NoError(n, n.stopSandbox(id))
	require.NoError(n, n.removeSandbox(id))
}
