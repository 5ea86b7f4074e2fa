// SPDX-License-Identifier: Apache-2.0

// Package workload runs the containers of a sandbox with runc, through the task service of
// containerd's own shim. They share the host's kernel, which Kata's would not; processes, streams,
// exec, signals and exit codes are real.
package workload

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/typeurl/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/kata-node/kata-node/test/shim/bundle"
	"github.com/kata-node/kata-node/test/shim/config"
)

const (
	// guestDir, below a container's bundle, is the bundle that runc reads.
	guestDir = "guest"
	// stateDir, below the sandbox's bundle, is where runc has the state of all containers.
	stateDir = "runc"
)

// Admission decides whether a container may be created; its error reaches the caller word for word.
type Admission func(bundle, configPath string) error

// Service is containerd's task service with what CRI-O and Kata have in addition.
type Service struct {
	taskapi.TTRPCTaskService

	admit Admission
	state string
	guard func() (*guard, error)
	done  <-chan struct{}

	// calls lets one call that changes a container follow the other, as in Kata's shim. A caller
	// that gives a Create up deletes the container at once and asks for the shutdown. Without an
	// order the deletion would find nothing, and the container that is made meanwhile would keep
	// this process alive for ever.
	calls   sync.Mutex
	bundles sync.Map // of CRI-O, by container
}

// New returns a service for the sandbox whose bundle is dir. This process becomes the parent of all
// processes that its containers leave.
func New(ctx context.Context, dir string, admit Admission) (*Service, error) {
	if err := reapAll(ctx); err != nil {
		return nil, err
	}
	// The service does not get the context that ends with the shutdown: its watcher of exhausted
	// memory would close one descriptor number again and again from then on, whoever has that
	// number.
	_, end := shutdown.WithShutdown(ctx)
	s := &Service{admit: admit, state: filepath.Join(dir, stateDir), done: end.Done()}
	s.guard = sync.OnceValues(func() (*guard, error) { return startGuard(filepath.Join(s.state, namespace)) })
	var err error
	if s.TTRPCTaskService, err = task.NewTaskService(ctx, oomPublisher{s.bundleOf}, end); err != nil {
		return nil, fmt.Errorf("making the task service: %w", err)
	}
	return s, nil
}

// Done is closed when a client asked for shutdown and no container was left.
func (s *Service) Done() <-chan struct{} { return s.done }

// Close ends the guard, which has nothing to do any more.
func (s *Service) Close() error {
	guard, err := s.guard()
	if err != nil {
		return nil //nolint:nilerr // There is none.
	}
	return guard.end()
}

// Create makes a container that has not started yet, from a copy of its bundle. CRI-O's options are
// Kata's, not runc's.
func (s *Service) Create(ctx context.Context, req *taskapi.CreateTaskRequest) (*taskapi.CreateTaskResponse, error) {
	s.calls.Lock()
	defer s.calls.Unlock()
	path, err := config.PathIn(req.GetOptions())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	dir := req.GetBundle()
	if err := s.admit(dir, path); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	// Only now: the guard has to start in the cgroup that admission put this process in.
	if _, err := s.guard(); err != nil {
		return nil, err
	}
	if req.Options, err = s.runcOptions(dir); err != nil {
		return nil, err
	}
	req.Bundle = filepath.Join(dir, guestDir)
	if err := writeGuestBundle(req.GetBundle(), dir); err != nil {
		return nil, err
	}
	s.bundles.Store(req.GetID(), dir)
	return s.TTRPCTaskService.Create(ctx, req)
}

// Exec prepares another process in a container.
func (s *Service) Exec(ctx context.Context, req *taskapi.ExecProcessRequest) (*emptypb.Empty, error) {
	process, err := guestExec(req.GetSpec())
	if err != nil {
		return nil, err
	}
	req.Spec = process
	return s.TTRPCTaskService.Exec(ctx, req)
}

// Kill sends a signal. As in Kata's shim, ending what has ended is no error.
func (s *Service) Kill(ctx context.Context, req *taskapi.KillRequest) (*emptypb.Empty, error) {
	s.calls.Lock()
	defer s.calls.Unlock()
	response, err := s.TTRPCTaskService.Kill(ctx, req)
	ends := req.GetSignal() == uint32(syscall.SIGKILL) || req.GetSignal() == uint32(syscall.SIGTERM)
	if _, known := s.bundles.Load(req.GetID()); ends && known && errdefs.IsNotFound(errgrpc.ToNative(err)) {
		return &emptypb.Empty{}, nil
	}
	return response, err
}

// Delete forgets a process, or a container and its bundle.
func (s *Service) Delete(ctx context.Context, req *taskapi.DeleteRequest) (*taskapi.DeleteResponse, error) {
	if req.GetExecID() != "" {
		return s.deleteExec(ctx, req)
	}
	s.calls.Lock()
	defer s.calls.Unlock()
	response, err := s.TTRPCTaskService.Delete(ctx, req)
	if err != nil {
		return nil, err
	}
	if dir, known := s.bundles.LoadAndDelete(req.GetID()); known {
		err = os.RemoveAll(filepath.Join(dir.(string), guestDir)) //nolint:forcetypeassert // Only strings are stored.
	}
	return response, err
}

// Shutdown ends the shim once no container is left, also none that is being made.
func (s *Service) Shutdown(ctx context.Context, req *taskapi.ShutdownRequest) (*emptypb.Empty, error) {
	s.calls.Lock()
	defer s.calls.Unlock()
	return s.TTRPCTaskService.Shutdown(ctx, req)
}

func (s *Service) deleteExec(ctx context.Context, req *taskapi.DeleteRequest) (*taskapi.DeleteResponse, error) {
	streams, err := s.State(ctx, &taskapi.StateRequest{ID: req.GetID(), ExecID: req.GetExecID()})
	if err != nil {
		return nil, err
	}
	response, err := s.TTRPCTaskService.Delete(ctx, req)
	if err != nil {
		return nil, err
	}
	drain(ctx, streams.GetStdout())
	drain(ctx, streams.GetStderr())
	return response, nil
}

func (s *Service) runcOptions(dir string) (*anypb.Any, error) {
	b, err := bundle.Read(dir)
	if err != nil {
		return nil, err
	}
	return typeurl.MarshalAnyToProto(&options.Options{Root: s.state, SystemdCgroup: b.SystemdCgroup()})
}

func (s *Service) bundleOf(id string) string {
	dir, _ := s.bundles.Load(id)
	path, _ := dir.(string) //nolint:errcheck // Empty when it is not known.
	return path
}
