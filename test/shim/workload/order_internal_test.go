// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"
)

// alone is a task service that notes whether another call could be made during each of its calls.
type alone struct {
	taskapi.TTRPCTaskService

	service  *Service
	disorder []string
}

func (a *alone) note(call string) error {
	if a.service.calls.TryLock() {
		a.service.calls.Unlock()
		a.disorder = append(a.disorder, call)
	}
	return errors.New("no such container")
}

func (a *alone) State(context.Context, *taskapi.StateRequest) (*taskapi.StateResponse, error) {
	return nil, a.note("state in start")
}

func (a *alone) Kill(context.Context, *taskapi.KillRequest) (*emptypb.Empty, error) {
	return nil, a.note("kill")
}

func (a *alone) Delete(context.Context, *taskapi.DeleteRequest) (*taskapi.DeleteResponse, error) {
	return nil, a.note("delete")
}

func (a *alone) Shutdown(context.Context, *taskapi.ShutdownRequest) (*emptypb.Empty, error) {
	return nil, a.note("shutdown")
}

// CRI-O gives a Create up when its own caller has ended, deletes the container, and asks for the
// shutdown (CreateContainer in internal/oci/runtime_vm.go of 1.36). Kata's shim makes the deletion
// wait for the creation.
func TestCallsThatChangeAContainerFollowOneAnother(t *testing.T) {
	t.Parallel()
	a := &alone{}
	s := &Service{TTRPCTaskService: a, admit: func(string, string) error { return a.note("create") }}
	a.service = s
	for call, do := range map[string]func() error{
		"create":   func() error { _, err := s.Create(t.Context(), &taskapi.CreateTaskRequest{}); return err },
		"start":    func() error { _, err := s.Start(t.Context(), &taskapi.StartRequest{}); return err },
		"kill":     func() error { _, err := s.Kill(t.Context(), &taskapi.KillRequest{}); return err },
		"delete":   func() error { _, err := s.Delete(t.Context(), &taskapi.DeleteRequest{}); return err },
		"shutdown": func() error { _, err := s.Shutdown(t.Context(), &taskapi.ShutdownRequest{}); return err },
	} {
		require.ErrorContains(t, do(), "no such container", call)
	}
	assert.Empty(t, a.disorder, "calls that another one could run at the same time as")
	assert.True(t, s.calls.TryLock(), "and each has ended")
}
