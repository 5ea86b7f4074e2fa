// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host/crio"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/bed/images"
)

// agent is the agent's own client of a node that runs.
func (n *node) agent() *crio.Client {
	n.Helper()
	client, err := crio.Dial(n.path("crio.sock"))
	require.NoError(n, err)
	n.Cleanup(func() { n.ignore(client.Close()) })
	return client
}

// prove takes a proof with the agent's client.
func (n *node) prove(name string, limit time.Duration) (id string, err error) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), limit)
	defer cancel()
	id, err = n.agent().Prove(ctx, "kata", name)
	if id != "" {
		n.ids = append(n.ids, id)
	}
	listed, listErr := n.cri.ListContainers(n.Context(), &runtimeapi.ListContainersRequest{})
	require.NoError(n, listErr)
	for _, c := range listed.GetContainers() {
		n.containers = append(n.containers, c.GetId())
	}
	return id, err
}

// requireRemoved takes away a proof as the agent does.
func (n *node) requireRemoved(id string) {
	n.Helper()
	require.NoError(n, n.agent().Remove(n.Context(), id))
	assert.Empty(n, n.list(nil))
	left, err := n.cri.ListContainers(n.Context(), &runtimeapi.ListContainersRequest{})
	require.NoError(n, err)
	assert.Empty(n, left.GetContainers())
	requireNoShim(n, id)
}

func TestASandboxTellsTheImageThatAContainerInItCanHave(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	id, err := n.prove("a", time.Minute)
	require.NoError(n, err)
	require.Len(n, n.containers, 1)
	response, err := n.cri.ContainerStatus(n.Context(), &runtimeapi.ContainerStatusRequest{ContainerId: n.containers[0]})
	require.NoError(n, err)
	assert.Equal(n, runtimeapi.ContainerState_CONTAINER_EXITED, response.GetStatus().GetState())
	assert.Zero(n, response.GetStatus().GetExitCode())
	log, err := os.ReadFile(response.GetStatus().GetLogPath())
	require.NoError(n, err)
	assert.Contains(n, string(log), " stdout F pause.c ", "the program of the image says its version")
	n.requireRemoved(id)
}

func TestAPauseImageThatKnowsNoVersionsIsProofEnough(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.dropIn("50-pause", "[crio.image]\npause_image = \""+stubbornPause+"\"\npause_command = \"\"\n")
	withKata(n, n)
	id, err := n.prove("a", time.Minute)
	require.NoError(n, err)
	n.requireRemoved(id)
}

// overlayNode keeps the files of its containers in a shared mount, as hosts do.
func overlayNode(t *testing.T, options ...string) *node {
	t.Helper()
	dir := overlayDir(t)
	require.NoError(t, syscall.Mount(dir, dir, "", syscall.MS_BIND, ""))
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_SHARED, ""))
	n := newNodeIn(t, dir)
	n.args = []string{"--storage-driver=overlay", "--storage-opt=overlay.imagestore=" + imageStore(t)}
	for _, option := range options {
		n.args = append(n.args, "--storage-opt="+option)
	}
	withKata(n, n)
	return n
}

func TestAProofPassesWhereAShimSeesTheFilesOfContainers(t *testing.T) {
	t.Parallel()
	n := overlayNode(t, "overlay.skip_mount_home=true")
	id, err := n.prove("a", time.Minute)
	require.NoError(n, err)
	n.requireRemoved(id)
}

// A shim has a copy of the mounts that were there when it was started. Without skip_mount_home the
// files of containers are in a private mount, and in its copy of that nothing appears any more. The
// shim refuses at once, but before CRI-O answers, to a stop neither, it tries for 37 minutes to
// delete the files, which that copy keeps busy (retry in resourcestore/resourcecleaner.go).
func TestAProofFailsWhereAShimDoesNotSeeTheFilesOfContainers(t *testing.T) {
	t.Parallel()
	n := overlayNode(t)
	id, err := n.prove("a", 20*time.Second)
	require.ErrorContains(n, err, "a sandbox of handler kata started, but running a container in it failed: creating it: CRI-O does not answer in time")
	assert.Equal(n, ready, n.state(id), "the sandbox alone says nothing")
	assert.Contains(n, n.process.log.String(), "Cleaning up container ", "there are the shim's words")
	require.NoError(n, n.process.cmd.Process.Kill())
	<-n.process.ended
}

// An agent may end between any two calls of a proof.
func TestARemovedSandboxTakesItsContainersWithIt(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	p.startContainer(untilTerminated)
	created, err := p.cri.CreateContainer(t.Context(), &runtimeapi.CreateContainerRequest{
		PodSandboxId: p.id, SandboxConfig: p.config,
		Config: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "never-started"}, Image: &runtimeapi.ImageSpec{Image: images.Busybox, UserSpecifiedImage: images.Busybox},
			Command: []string{"/bin/true"}, LogPath: "never-started.log", Linux: &runtimeapi.LinuxContainerConfig{},
		},
	})
	require.NoError(t, err)
	p.containers = append(p.containers, created.GetContainerId())
	p.requireRemoved(p.id)
}

// The kubelet stops sandboxes that it does not know, and looks for them every 2 s.
func TestAKubeletThatStopsAProofWaitsUntilItsContainerHasEnded(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	withKata(n, n)
	stopped := make(chan error, 1)
	go func() {
		assert.Eventually(n, func() bool { // the sandbox's own, and the other one
			inStore, err := filepath.Glob(n.path("root/vfs-containers/*/userdata"))
			return err == nil && len(inStore) == 2
		}, patience, time.Millisecond)
		response, err := n.cri.ListPodSandbox(n.Context(), &runtimeapi.ListPodSandboxRequest{})
		if err == nil {
			err = n.stopSandbox(response.GetItems()[0].GetId())
		}
		stopped <- err
	}()
	id, err := n.prove("a", time.Minute)
	require.NoError(n, err)
	require.NoError(n, <-stopped)
	require.Len(n, n.containers, 1)
	response, err := n.cri.ContainerStatus(n.Context(), &runtimeapi.ContainerStatusRequest{ContainerId: n.containers[0]})
	require.NoError(n, err)
	assert.Zero(n, response.GetStatus().GetExitCode(), "it was not killed")
	n.requireRemoved(id)
}
