// SPDX-License-Identifier: Apache-2.0

package task

import (
	"sync"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// signalExit is what a shell adds to the number of the signal that ended a process.
const signalExit = 128

type container struct {
	request *taskapi.CreateTaskRequest
	exited  chan struct{}

	mu       sync.Mutex
	status   tasktypes.Status
	code     uint32
	exitedAt time.Time
}

func newContainer(req *taskapi.CreateTaskRequest) *container {
	return &container{request: req, exited: make(chan struct{}), status: tasktypes.Status_CREATED}
}

func (c *container) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == tasktypes.Status_CREATED {
		c.status = tasktypes.Status_RUNNING
	}
}

func (c *container) kill(signal uint32, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == tasktypes.Status_STOPPED {
		return
	}
	c.status, c.code, c.exitedAt = tasktypes.Status_STOPPED, signalExit+signal, at
	close(c.exited)
}

func (c *container) running() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status != tasktypes.Status_STOPPED
}

func (c *container) state() *taskapi.StateResponse {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := &taskapi.StateResponse{
		ID: c.request.GetID(), Bundle: c.request.GetBundle(), Pid: pid(), Status: c.status, ExitStatus: c.code,
		Stdin: c.request.GetStdin(), Stdout: c.request.GetStdout(), Stderr: c.request.GetStderr(), Terminal: c.request.GetTerminal(),
	}
	if !c.exitedAt.IsZero() {
		state.ExitedAt = timestamppb.New(c.exitedAt)
	}
	return state
}
