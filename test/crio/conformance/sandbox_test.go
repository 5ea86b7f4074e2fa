// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	ready    = runtimeapi.PodSandboxState_SANDBOX_READY
	notReady = runtimeapi.PodSandboxState_SANDBOX_NOTREADY

	// hostNetworkConfig is what a shim needs to take a sandbox in the host's network.
	hostNetworkConfig = "[runtime]\ninternetworking_model = \"none\"\ndisable_new_netns = true\n"
)

// hostNetworkHandler is a vm handler whose shim takes host network, as the proof handler's does.
func (n *node) hostNetworkHandler(t *testing.T, name, shim string) string {
	t.Helper()
	config := write(t, n.path("shim-"+name+"/configuration.toml"), hostNetworkConfig)
	return vmHandler(name, shim, "runtime_config_path = "+strconv.Quote(config))
}

func request(pod, handler string) *runtimeapi.RunPodSandboxRequest {
	return &runtimeapi.RunPodSandboxRequest{
		RuntimeHandler: handler,
		Config: &runtimeapi.PodSandboxConfig{
			Metadata: &runtimeapi.PodSandboxMetadata{Name: pod, Namespace: "default", Uid: "uid-of-" + pod},
			Labels:   map[string]string{"app": pod},
			Linux: &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{
					Network: runtimeapi.NamespaceMode_NODE, Pid: runtimeapi.NamespaceMode_CONTAINER, Ipc: runtimeapi.NamespaceMode_POD,
				},
			}},
		},
	}
}

// tryRun asks for a host-network sandbox.
func (n *node) tryRun(t *testing.T, pod, handler string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := n.cri.RunPodSandbox(ctx, request(pod, handler))
	if err == nil {
		n.ids = append(n.ids, response.GetPodSandboxId())
	}
	return response.GetPodSandboxId(), err
}

func (n *node) run(t *testing.T, pod, handler string) string {
	t.Helper()
	id, err := n.tryRun(t, pod, handler)
	require.NoError(t, err, n.process.log)
	return id
}

func (n *node) stopSandbox(t *testing.T, id string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := n.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	return err
}

func (n *node) removeSandbox(t *testing.T, id string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := n.cri.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	return err
}

func (n *node) list(t *testing.T, filter *runtimeapi.PodSandboxFilter) []string {
	t.Helper()
	response, err := n.cri.ListPodSandbox(t.Context(), &runtimeapi.ListPodSandboxRequest{Filter: filter})
	require.NoError(t, err)
	var ids []string
	for _, item := range response.GetItems() {
		ids = append(ids, item.GetId())
	}
	return ids
}

func (n *node) state(t *testing.T, id string) runtimeapi.PodSandboxState {
	t.Helper()
	response, err := n.cri.PodSandboxStatus(t.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id})
	require.NoError(t, err)
	return response.GetStatus().GetState()
}

// shimPID finds the long-lived shim of a sandbox; 0 when there is none.
func shimPID(t *testing.T, id string) int {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		if err != nil || !strings.HasSuffix(args[0], "containerd-shim-kata-v2") || !strings.HasSuffix(string(line), "\x00-id\x00"+id+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
		require.NoError(t, err)
		return pid
	}
	return 0
}

func requireShim(t *testing.T, id string) int {
	t.Helper()
	pid := shimPID(t, id)
	require.NotZero(t, pid, "sandbox %s has no shim", id)
	return pid
}

func requireNoShim(t *testing.T, id string) {
	t.Helper()
	require.Eventually(t, func() bool { return shimPID(t, id) == 0 }, patience, interval, "the shim of %s lives", id)
}

func killShim(t *testing.T, id string) {
	t.Helper()
	require.NoError(t, syscall.Kill(requireShim(t, id), syscall.SIGKILL))
	requireNoShim(t, id)
}

// cleanUp ends what the test's own CRI-O left: sandboxes, its process, the shims of its bundles, their cgroups, its mounts.
func (n *node) cleanUp(t *testing.T) {
	t.Helper()
	if n.process != nil && !n.process.hasEnded() {
		n.removeSandboxes()
		_ = n.process.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-n.process.ended:
		case <-time.After(patience):
			_ = n.process.cmd.Process.Kill()
			<-n.process.ended
		}
	}
	n.endShims()
	n.unmount(t)
	for _, id := range n.ids {
		removeCgroups("crio-" + id)
		_ = os.Remove(fmt.Sprintf("/run/containerd/s/%x", sha256.Sum256([]byte("default/"+id))))
	}
}

// removeSandboxes asks for what can go in the ordinary way; the rest is taken by force.
func (n *node) removeSandboxes() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, id := range n.ids {
		_, _ = n.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
		_, _ = n.cri.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	}
}

// endShims kills the processes whose working directory is one of this node's bundles.
func (n *node) endShims() {
	entries, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, entry := range entries {
		cwd, err := os.Readlink(entry)
		if err != nil || !strings.HasPrefix(cwd, n.dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// removeCgroups removes a cgroup at the root of every hierarchy as soon as it is empty; a real CRI-O makes it there.
func removeCgroups(name string) {
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for _, dir := range append(dirs, "/sys/fs/cgroup/"+name) {
		for tries := 0; errors.Is(syscall.Rmdir(dir), syscall.EBUSY) && tries < 100; tries++ {
			<-ticker.C
		}
	}
}

// unmount takes down every mount below the node's directory, innermost first.
func (n *node) unmount(t *testing.T) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.Fields(lines[i])
		if len(fields) < 5 || !strings.HasPrefix(fields[4], n.dir+"/") {
			continue
		}
		if err := syscall.Unmount(fields[4], syscall.MNT_DETACH); err != nil {
			t.Logf("unmounting %s: %v", fields[4], err)
		}
	}
}
