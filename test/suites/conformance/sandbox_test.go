// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
func (n *node) hostNetworkHandler(name, shim string) string {
	n.Helper()
	config := write(n, n.path("shim-"+name+"/configuration.toml"), hostNetworkConfig)
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
func (n *node) tryRun(pod, handler string) (string, error) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), patience)
	defer cancel()
	response, err := n.cri.RunPodSandbox(ctx, request(pod, handler))
	if err == nil {
		n.ids = append(n.ids, response.GetPodSandboxId())
	}
	return response.GetPodSandboxId(), err
}

func (n *node) run(pod, handler string) string {
	n.Helper()
	id, err := n.tryRun(pod, handler)
	require.NoError(n, err, n.process.log)
	return id
}

func (n *node) stopSandbox(id string) error {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), patience)
	defer cancel()
	_, err := n.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	return err
}

func (n *node) removeSandbox(id string) error {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), patience)
	defer cancel()
	_, err := n.cri.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	return err
}

func (n *node) list(filter *runtimeapi.PodSandboxFilter) []string {
	n.Helper()
	response, err := n.cri.ListPodSandbox(n.Context(), &runtimeapi.ListPodSandboxRequest{Filter: filter})
	require.NoError(n, err)
	var ids []string
	for _, item := range response.GetItems() {
		ids = append(ids, item.GetId())
	}
	return ids
}

func (n *node) state(id string) runtimeapi.PodSandboxState {
	n.Helper()
	response, err := n.cri.PodSandboxStatus(n.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: id})
	require.NoError(n, err)
	return response.GetStatus().GetState()
}

// shimPID finds the long-lived shim of a sandbox; 0 when there is none.
func shimPID(tb testing.TB, id string) int {
	tb.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(tb, err)
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		if err != nil || !strings.HasSuffix(args[0], "containerd-shim-kata-v2") || !strings.HasSuffix(string(line), "\x00-id\x00"+id+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
		require.NoError(tb, err)
		return pid
	}
	return 0
}

func requireShim(tb testing.TB, id string) int {
	tb.Helper()
	pid := shimPID(tb, id)
	require.NotZero(tb, pid, "sandbox %s has no shim", id)
	return pid
}

func requireNoShim(tb testing.TB, id string) {
	tb.Helper()
	require.Eventually(tb, func() bool { return shimPID(tb, id) == 0 }, patience, interval, "the shim of %s lives", id)
}

func killShim(tb testing.TB, id string) {
	tb.Helper()
	require.NoError(tb, syscall.Kill(requireShim(tb, id), syscall.SIGKILL))
	requireNoShim(tb, id)
}

// cleanUp ends what the test's own CRI-O left: sandboxes, its process, the shims of its bundles,
// their cgroups, its mounts.
func (n *node) cleanUp() {
	n.Helper()
	if n.process != nil && !n.process.hasEnded() {
		n.removeSandboxes()
		n.end()
	}
	if n.conn != nil {
		n.ignore(n.conn.Close())
	}
	n.endShims()
	n.unmount()
	for _, id := range append(n.containers, n.ids...) {
		removeCgroups("crio-" + id)
	}
	for _, id := range n.ids {
		removeCgroups("kata_crio-" + id)
		n.ignore(os.Remove(fmt.Sprintf("/run/containerd/s/%x", sha256.Sum256([]byte("default/"+id)))))
	}
}

func (n *node) end() {
	n.ignore(n.process.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-n.process.ended:
	case <-time.After(patience):
		n.ignore(n.process.cmd.Process.Kill())
		<-n.process.ended
	}
}

// ignore is for errors of the clean-up: mostly the thing to remove is gone already.
func (n *node) ignore(err error) {
	if err != nil && n.Failed() {
		n.Logf("cleaning up: %v", err)
	}
}

// removeSandboxes asks for what can go in the ordinary way; the rest is taken by force.
func (n *node) removeSandboxes() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.Context()), patience)
	defer cancel()
	for _, id := range n.ids {
		_, err := n.cri.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
		n.ignore(err)
		_, err = n.cri.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
		n.ignore(err)
	}
}

// endShims kills the processes whose working directory is one of this node's bundles.
func (n *node) endShims() {
	entries, err := filepath.Glob("/proc/[0-9]*/cwd")
	n.ignore(err)
	for _, entry := range entries {
		cwd, err := os.Readlink(entry)
		if err != nil || !strings.HasPrefix(cwd, n.dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry))); err == nil {
			n.ignore(syscall.Kill(pid, syscall.SIGKILL))
		}
	}
}

// removeCgroups removes a cgroup at the root of every hierarchy as soon as it is empty; a real
// CRI-O makes it there.
func removeCgroups(name string) {
	dirs := []string{filepath.Join("/sys/fs/cgroup", name)}
	if more, err := filepath.Glob("/sys/fs/cgroup/*/" + name); err == nil {
		dirs = append(dirs, more...)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for _, dir := range dirs {
		for tries := 0; errors.Is(syscall.Rmdir(dir), syscall.EBUSY) && tries < 100; tries++ {
			<-ticker.C
		}
	}
}

// unmount takes down every mount below the node's directory, innermost first.
func (n *node) unmount() {
	n.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	for _, line := range slices.Backward(strings.Split(string(mounts), "\n")) {
		fields := strings.Fields(line)
		if len(fields) < 5 || !strings.HasPrefix(fields[4], n.dir+"/") {
			continue
		}
		if err := syscall.Unmount(fields[4], syscall.MNT_DETACH); err != nil {
			n.Logf("unmounting %s: %v", fields[4], err)
		}
	}
}
