// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// unserved answers the calls that a sandbox without a workload never needs.
type unserved struct{}

func refuse(call string) error {
	return status.Errorf(codes.Unimplemented, "the test shim does not serve %s", call)
}

func (unserved) Pids(context.Context, *taskapi.PidsRequest) (*taskapi.PidsResponse, error) {
	return nil, refuse("Pids")
}

func (unserved) Pause(context.Context, *taskapi.PauseRequest) (*emptypb.Empty, error) {
	return nil, refuse("Pause")
}

func (unserved) Resume(context.Context, *taskapi.ResumeRequest) (*emptypb.Empty, error) {
	return nil, refuse("Resume")
}

func (unserved) Checkpoint(context.Context, *taskapi.CheckpointTaskRequest) (*emptypb.Empty, error) {
	return nil, refuse("Checkpoint")
}

func (unserved) Exec(context.Context, *taskapi.ExecProcessRequest) (*emptypb.Empty, error) {
	return nil, refuse("Exec")
}

func (unserved) ResizePty(context.Context, *taskapi.ResizePtyRequest) (*emptypb.Empty, error) {
	return nil, refuse("ResizePty")
}

func (unserved) CloseIO(context.Context, *taskapi.CloseIORequest) (*emptypb.Empty, error) {
	return nil, refuse("CloseIO")
}

func (unserved) Update(context.Context, *taskapi.UpdateTaskRequest) (*emptypb.Empty, error) {
	return nil, refuse("Update")
}

func (unserved) Stats(context.Context, *taskapi.StatsRequest) (*taskapi.StatsResponse, error) {
	return nil, refuse("Stats")
}
