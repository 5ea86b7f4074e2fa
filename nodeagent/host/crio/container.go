// SPDX-License-Identifier: Apache-2.0

package crio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Limits of the container of a proof.
const (
	// pollInterval is how often the container's state is asked for.
	pollInterval = 100 * time.Millisecond
	// runsFor is after which time a container that has not ended counts as one that runs.
	runsFor = 5 * time.Second
)

// askVersion makes the program of Kubernetes' pause image, from whose source that of OpenShift is
// built, too, print its version and end with 0.
const askVersion = "-v"

// The labels by which the kubelet finds the sandbox of a container.
const (
	labelContainer = "io.kubernetes.container.name"
	labelPod       = "io.kubernetes.pod.name"
	labelNamespace = "io.kubernetes.pod.namespace"
	labelUID       = "io.kubernetes.pod.uid"
)

// contain runs a container in a sandbox until it ends. A container needs what a sandbox does not: a
// root file system that the shim sees and the guest gets. It is of the sandbox's own image, which
// the runtime has just used: nothing is pulled. Where a guest does not get the container's files,
// CRI-O answers after 37 min, beyond any proof.
func (c *Client) contain(ctx context.Context, id string, sandbox *cri.PodSandboxConfig) error {
	config, err := c.container(ctx, id, sandbox)
	if err != nil {
		return c.early(ctx, id, said("asking for the image of the sandbox", err))
	}
	created, release, err := c.create(ctx, &cri.CreateContainerRequest{PodSandboxId: id, Config: config, SandboxConfig: sandbox})
	defer release()
	if err != nil {
		return c.early(ctx, id, said("creating it", err))
	}
	err = c.run(ctx, created)
	release()
	e, ended := errors.AsType[*exited](err)
	if _, refused := errors.AsType[*unstarted](err); err == nil || refused || ended && !e.killed() {
		return err
	}
	// The kubelet stops sandboxes that it does not know. CRI-O lets it wait while a container is
	// created, and by then the guest has the container's files and its program.
	if c.ended(ctx, id) {
		return nil
	}
	return err
}

// early is the error of a container that was not created. The kubelet may have stopped its sandbox
// in the moment between the two, which says nothing of the payload. A sandbox that ended by itself
// looks the same.
func (c *Client) early(ctx context.Context, id string, err error) error {
	if c.stopped(ctx, id) {
		return &host.Strained{Err: err}
	}
	return err
}

// container describes one that runs the program of the sandbox's own container, once.
func (c *Client) container(ctx context.Context, id string, sandbox *cri.PodSandboxConfig) (*cri.ContainerConfig, error) {
	answer, err := c.cri.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
	if err != nil {
		return nil, err
	}
	var info struct {
		Image       string `json:"image"`
		RuntimeSpec struct {
			Process struct {
				Args []string `json:"args"`
			} `json:"process"`
		} `json:"runtimeSpec"`
	}
	if err := json.Unmarshal([]byte(answer.GetInfo()["info"]), &info); err != nil {
		return nil, fmt.Errorf("reading its verbose status: %w", err)
	}
	if info.Image == "" || len(info.RuntimeSpec.Process.Args) == 0 {
		return nil, errors.New("its verbose status has no image or no program")
	}
	meta := sandbox.GetMetadata()
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: proofContainer},
		Image:    &cri.ImageSpec{Image: info.Image, UserSpecifiedImage: info.Image},
		Command:  info.RuntimeSpec.Process.Args[:1],
		Args:     []string{askVersion},
		LogPath:  proofContainer + ".log",
		Labels: map[string]string{
			labelContainer: proofContainer, labelPod: meta.GetName(), labelNamespace: meta.GetNamespace(), labelUID: meta.GetUid(),
		},
		Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: namespaces()}},
	}, nil
}

// proofContainer is the name of the container in a proof.
const proofContainer = "proof"

// run starts a container and waits for its end. One that still runs, such as that of a pause image
// whose program knows no versions, has shown what there is to be seen; it is killed.
func (c *Client) run(ctx context.Context, id string) error {
	if _, err := c.cri.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: id}); err != nil {
		if strings.HasPrefix(status.Convert(err).Message(), failedStart) {
			return &unstarted{said("starting it", err)}
		}
		return said("starting it", err)
	}
	enough := time.NewTimer(c.runsFor)
	defer enough.Stop()
	again := time.NewTicker(pollInterval)
	defer again.Stop()
	for {
		answer, err := c.cri.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
		if err != nil {
			return said("asking whether it runs", err)
		}
		if s := answer.GetStatus(); s.GetState() == cri.ContainerState_CONTAINER_EXITED {
			return verdict(s)
		}
		select {
		case <-again.C:
		case <-enough.C:
			// Remove stops what this call does not.
			_, _ = c.cri.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: 0}) //nolint:errcheck // see above
			return nil
		case <-ctx.Done():
			return said("waiting for its end", status.FromContextError(ctx.Err()).Err())
		}
	}
}

// failedStart is how CRI-O begins its answer where the shim has refused to start a container
// (server/container_start.go of 1.36). For one that the kubelet has stopped before, it has other
// words.
const failedStart = "failed to start container "

// unstarted is the error of a container that the shim has refused to start. The kubelet, which
// stops the sandbox a moment later, has no part in it.
type unstarted struct{ error }

// Unwrap returns what the runtime said.
func (e *unstarted) Unwrap() error { return e.error }

func verdict(s *cri.ContainerStatus) error {
	switch {
	case s.GetExitCode() == 0:
		return nil
	case s.GetReason() == outOfMemory:
		return &host.Strained{Err: &exited{s}}
	}
	return &exited{s}
}

// exited is the error of a container that ended in another way than a program does which prints its
// version.
type exited struct{ status *cri.ContainerStatus }

func (e *exited) Error() string {
	return strings.TrimRight(fmt.Sprintf("it ended with exit code %d (%s) %s", e.status.GetExitCode(), e.status.GetReason(), e.status.GetMessage()), " ")
}

// killed reports whether SIGTERM or SIGKILL ended it.
func (e *exited) killed() bool { return e.status.GetExitCode() == 143 || e.status.GetExitCode() == 137 }

// said is the error of a call with the runtime's own words.
func said(call string, err error) error {
	words := fmt.Errorf("%s: %s", call, status.Convert(err).Message())
	if status.Code(err) == codes.DeadlineExceeded {
		words = fmt.Errorf("%s: CRI-O does not answer in time", call)
	}
	if short(err) {
		return &host.Strained{Err: words}
	}
	return words
}

// stopped reports whether a sandbox is stopped or removed.
func (c *Client) stopped(ctx context.Context, id string) bool {
	answer, err := c.cri.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id})
	return gone(err) || err == nil && answer.GetStatus().GetState() != cri.PodSandboxState_SANDBOX_READY
}

// ended reports whether a sandbox was stopped. The kubelet stops its containers first, so the
// sandbox may follow a moment later.
func (c *Client) ended(ctx context.Context, id string) bool {
	ctx, cancel := context.WithTimeout(ctx, c.runsFor)
	defer cancel()
	again := time.NewTicker(pollInterval)
	defer again.Stop()
	for {
		if c.stopped(ctx, id) {
			return true
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
}
