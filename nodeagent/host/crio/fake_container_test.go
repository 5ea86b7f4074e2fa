// SPDX-License-Identifier: Apache-2.0

package crio_test

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pause is the container of the fake's sandboxes, as CRI-O 1.36 shows it in a verbose status.
const pause = `"image":"registry.k8s.io/pause:3.10","runtimeSpec":{"process":{"args":["/pause","--all"]}`

// CreateContainer ends when there is a second request for the same container, and lets that one
// wait until its caller gives it up. Until then CRI-O holds every stop of the sandbox.
func (f *fake) CreateContainer(ctx context.Context, r *cri.CreateContainerRequest) (*cri.CreateContainerResponse, error) {
	second := f.request(r)
	if second {
		defer close(f.givenUp)
	}
	if f.createHangs || second {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	select {
	case <-f.repeated:
	case <-ctx.Done():
	}
	if f.early {
		delete(f.handlers, r.GetPodSandboxId())
		return nil, status.Errorf(codes.Unknown, "CreateContainer failed as the sandbox was stopped: %s", r.GetPodSandboxId())
	}
	return &cri.CreateContainerResponse{ContainerId: "container"}, f.note("create", r.GetPodSandboxId())
}

func (f *fake) request(r *cri.CreateContainerRequest) (second bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.created != nil {
		close(f.repeated)
		return true
	}
	f.created, f.repeated, f.givenUp = r, make(chan struct{}), make(chan struct{})
	return false
}

func (f *fake) StartContainer(_ context.Context, r *cri.StartContainerRequest) (*cri.StartContainerResponse, error) {
	if f.kubelet {
		delete(f.handlers, "proof")
	}
	return &cri.StartContainerResponse{}, f.note("start", r.GetContainerId())
}

// ContainerStatus shows a container that has ended, unless it still runs.
func (f *fake) ContainerStatus(_ context.Context, r *cri.ContainerStatusRequest) (*cri.ContainerStatusResponse, error) {
	if f.container == nil {
		f.container = &cri.ContainerStatus{State: cri.ContainerState_CONTAINER_EXITED, Reason: "Completed"}
	}
	select {
	case <-f.givenUp:
		return nil, status.Error(codes.Internal, "the kubelet stopped the sandbox")
	default:
	}
	return &cri.ContainerStatusResponse{Status: f.container}, f.note("state", r.GetContainerId())
}

func (f *fake) StopContainer(_ context.Context, r *cri.StopContainerRequest) (*cri.StopContainerResponse, error) {
	if r.GetTimeout() != 0 {
		return nil, status.Error(codes.InvalidArgument, "the proof has no time for SIGTERM")
	}
	return &cri.StopContainerResponse{}, f.note("kill", r.GetContainerId())
}
