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

// payloadMount is a read-only mount that holds a copy of a file. The mount below it is shared, as /run is on a node:
// that one's propagation decides whether the shim's copy of the payload counts for an umount.
func (n *node) payloadMount(t *testing.T, file string) (dir string) {
	t.Helper()
	dir = n.path("run/1/payload")
	if _, err := os.Stat(n.path("run")); err != nil {
		shared(t, n.path("run"))
	}
	shared(t, dir)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	path := filepath.Join(dir, filepath.Base(file))
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.NoError(t, os.Chmod(path, 0o755))
	require.Eventually(t, func() bool { // a process forked meanwhile holds the file open for writing until it executes
		return syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY|syscall.MS_BIND, "") == nil
	}, patience, interval)
	return dir
}

func TestAPayloadCannotBeUnmountedWhileAShimRunsFromIt(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		payload := n.payloadMount(t, shimOf("v1"))
		n.dropIn(t, "60-kata", n.hostNetworkHandler(t, "kata", filepath.Join(payload, "containerd-shim-kata-v2")))
		n.start(t)
		id := n.run(t, "a", "kata")
		assert.Equal(t, filepath.Join(payload, "containerd-shim-kata-v2"), executable(t, id))
		require.ErrorIs(t, syscall.Unmount(payload, 0), syscall.EBUSY)
		n.restart(t)
		require.ErrorIs(t, syscall.Unmount(payload, 0), syscall.EBUSY)
		require.NoError(t, n.stopSandbox(t, id))
		require.NoError(t, n.removeSandbox(t, id))
		require.Eventually(t, func() bool { return syscall.Unmount(payload, 0) == nil }, patience, interval)
	})
}

func shared(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, syscall.Mount("test", dir, "tmpfs", 0, ""))
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_SHARED, ""))
}

// ociHandler is a handler whose sandboxes have an infra container, and whose runtime runs only for as long as a request takes.
func ociHandler(name, path, root string) string {
	return fmt.Sprintf("[crio.runtime]\ndrop_infra_ctr = false\n[crio.runtime.runtimes.%s]\nruntime_path = %q\nruntime_type = \"oci\"\nruntime_root = %q\n", name, path, root)
}

func TestStoppingASandboxOfAnOCIHandlerHangsWhileItsPayloadIsUnmounted(t *testing.T) {
	t.Parallel()
	needRoot(t)
	each(t, func(t *testing.T, n *node) {
		program := filepath.Join(built.dir, "oci-runtime")
		payload := n.payloadMount(t, program)
		n.dropIn(t, "60-oci", ociHandler("other", filepath.Join(payload, "oci-runtime"), n.path("oci-root")))
		n.start(t)
		id := n.run(t, "a", "other")

		require.NoError(t, syscall.Unmount(payload, 0), "nothing resident runs from it")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := n.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
		assert.Equal(t, codes.DeadlineExceeded, status.Code(err), "%v", err)

		n.payloadMount(t, program)
		require.NoError(t, n.stopSandbox(t, id))
		require.NoError(t, n.removeSandbox(t, id))
	})
}
