// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/bed/images"
)

// untilTerminated writes to both streams and ends with a code of its own on SIGTERM.
const untilTerminated = `echo to stdout; echo to stderr >&2; trap 'echo asked to end; exit 7' TERM; while :; do sleep 0.1; done`

// pod is a sandbox of handler "kata" below CRI-O.
type pod struct {
	*node

	id     string
	config *runtimeapi.PodSandboxConfig
}

func newPod(t *testing.T) *pod {
	t.Helper()
	n := newNode(t)
	withKata(t, n)
	p := &pod{node: n, config: request("a", "kata").GetConfig()}
	p.config.LogDirectory = n.path("pod-log")
	response, err := n.cri.RunPodSandbox(t.Context(), &runtimeapi.RunPodSandboxRequest{RuntimeHandler: "kata", Config: p.config})
	require.NoError(t, err, n.process.log)
	p.id = response.GetPodSandboxId()
	n.ids = append(n.ids, p.id)
	_, err = n.images().PullImage(t.Context(), &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: images.Busybox}})
	require.NoError(t, err)
	return p
}

// startContainer runs a script in a new container.
func (p *pod) startContainer(script string) string {
	p.Helper()
	return p.startContainerWithin(nil, script)
}

func (p *pod) startContainerWithin(resources *runtimeapi.LinuxContainerResources, script string) string {
	p.Helper()
	created, err := p.cri.CreateContainer(p.Context(), &runtimeapi.CreateContainerRequest{
		PodSandboxId: p.id, SandboxConfig: p.config,
		Config: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "c"}, Image: &runtimeapi.ImageSpec{Image: images.Busybox, UserSpecifiedImage: images.Busybox}, LogPath: "c.log",
			Command: []string{"/bin/sh", "-c", script}, Linux: &runtimeapi.LinuxContainerConfig{Resources: resources},
		},
	})
	require.NoError(p, err, p.process.log)
	_, err = p.cri.StartContainer(p.Context(), &runtimeapi.StartContainerRequest{ContainerId: created.GetContainerId()})
	require.NoError(p, err, p.process.log)
	p.containers = append(p.containers, created.GetContainerId())
	return created.GetContainerId()
}

func (p *pod) status(container string) *runtimeapi.ContainerStatus {
	p.Helper()
	response, err := p.cri.ContainerStatus(p.Context(), &runtimeapi.ContainerStatusRequest{ContainerId: container})
	require.NoError(p, err)
	return response.GetStatus()
}

func (p *pod) requireLog(text string) {
	p.Helper()
	require.Eventually(p, func() bool {
		log, err := os.ReadFile(p.path("pod-log/c.log"))
		return err == nil && strings.Contains(string(log), text)
	}, patience, interval, text)
}

func (p *pod) requireExec(container string) {
	p.Helper()
	ran, err := p.cri.ExecSync(p.Context(), &runtimeapi.ExecSyncRequest{
		ContainerId: container, Cmd: []string{"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}, Timeout: int64(patience / time.Second),
	})
	require.NoError(p, err)
	assert.Equal(p, "out\n", string(ran.GetStdout()))
	assert.Equal(p, "err\n", string(ran.GetStderr()))
	assert.EqualValues(p, 3, ran.GetExitCode())
}

func (p *pod) remove(container string) {
	p.Helper()
	_, err := p.cri.RemoveContainer(p.Context(), &runtimeapi.RemoveContainerRequest{ContainerId: container})
	require.NoError(p, err)
	require.NoError(p, p.stopSandbox(p.id))
	require.NoError(p, p.removeSandbox(p.id))
	requireNoShim(p, p.id)
}

func TestAContainerRunsLogsExecutesAndEnds(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.startContainer(untilTerminated)
	p.requireLog("stdout F to stdout")
	p.requireLog("stderr F to stderr")
	assert.Equal(t, runtimeapi.ContainerState_CONTAINER_RUNNING, p.status(c).GetState())
	p.requireExec(c)

	shim := requireShim(t, p.id)
	p.restart()
	assert.Equal(t, shim, requireShim(t, p.id))
	assert.Equal(t, runtimeapi.ContainerState_CONTAINER_RUNNING, p.status(c).GetState())
	p.requireExec(c)
	_, err := p.cri.ContainerStats(t.Context(), &runtimeapi.ContainerStatsRequest{ContainerId: c})
	require.NoError(t, err)

	_, err = p.cri.StopContainer(t.Context(), &runtimeapi.StopContainerRequest{ContainerId: c, Timeout: int64(patience / time.Second)})
	require.NoError(t, err)
	p.requireLog("stdout F asked to end")
	assert.Equal(t, runtimeapi.ContainerState_CONTAINER_EXITED, p.status(c).GetState())
	assert.EqualValues(t, 7, p.status(c).GetExitCode())
	p.remove(c)
	for _, pattern := range []string{"/sys/fs/cgroup/*", "/sys/fs/cgroup/*/*", "/sys/fs/cgroup/*/*/*"} {
		for _, id := range []string{p.id, c} {
			left, err := filepath.Glob(pattern + id)
			require.NoError(t, err)
			assert.Empty(t, left)
		}
	}
}

func TestAContainerThatEndsByItselfHasItsExitCode(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.startContainer("echo done; exit 5")
	require.Eventually(t, func() bool {
		return p.status(c).GetState() == runtimeapi.ContainerState_CONTAINER_EXITED
	}, patience, interval)
	assert.EqualValues(t, 5, p.status(c).GetExitCode())
	p.requireLog("stdout F done")
	p.remove(c)
}

func TestAContainerWithoutMemoryLeftIsSaidToBe(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.startContainerWithin(&runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 32 << 20}, "x=x; while :; do x=$x$x; done")
	require.Eventually(t, func() bool {
		return p.status(c).GetState() == runtimeapi.ContainerState_CONTAINER_EXITED
	}, patience, interval)
	assert.Equal(t, "OOMKilled", p.status(c).GetReason())
	p.remove(c)
}

func TestAProcessIsExecutedOnATerminal(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.startContainer(untilTerminated)
	response, err := p.cri.Exec(t.Context(), &runtimeapi.ExecRequest{
		ContainerId: c, Cmd: []string{"/bin/sh", "-c", "tty; cat; exit 4"}, Tty: true, Stdin: true, Stdout: true,
	})
	require.NoError(t, err)
	at, err := url.Parse(response.GetUrl())
	require.NoError(t, err)
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{}, "POST", at)
	require.NoError(t, err)
	// On a terminal, CRI-O drops the output as soon as the client's input has ended.
	stdin, typed := io.Pipe()
	defer typed.Close()                                         //nolint:errcheck // It cannot fail.
	go func() { _, _ = io.WriteString(typed, "hello\n\x04") }() //nolint:errcheck // The output tells.
	var output bytes.Buffer
	err = executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: stdin, Stdout: &output, Tty: true})
	require.ErrorContains(t, err, "exit code 4")
	assert.Contains(t, output.String(), "/dev/pts/")
	assert.Contains(t, output.String(), "hello")
}

func TestContainersEndWithTheirShim(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	c := p.startContainer("exec sleep 100000000000")
	processes := p.processes(c)
	require.NotEmpty(t, processes)
	require.NotEmpty(t, p.processes(p.id))
	killShim(t, p.id)
	require.Eventually(t, func() bool { return len(p.processes(c)) == 0 && len(p.processes(p.id)) == 0 }, patience, interval)
}

// processes lists those in the container's cgroup.
func (p *pod) processes(container string) []string {
	p.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cgroup")
	require.NoError(p, err)
	var found []string
	for _, entry := range entries {
		if groups, err := os.ReadFile(entry); err == nil && strings.Contains(string(groups), "/crio-"+container) {
			found = append(found, entry)
		}
	}
	return found
}
