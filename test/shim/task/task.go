// SPDX-License-Identifier: Apache-2.0

// Package task is the Task service for sandboxes of the stand-in CRI-O, whose bundles have no root
// file system. Its containers have no processes: a container "runs" until it is killed, and the shim
// lives while one is known. It can be deleted together with that CRI-O; package workload is the
// service for bundles of a real one.
package task

import (
	"context"
	"os"
	"sync"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kata-node/kata-node/test/shim/config"
)

// Admission decides whether a container may be created; its error reaches the caller word for word.
type Admission func(bundle, configPath string) error

// Service implements the Task service for the containers of one sandbox.
type Service struct {
	unserved
	admit      Admission
	mu         sync.Mutex
	containers map[string]*container
	done       chan struct{}
	end        func()
}

// New returns a service without containers.
func New(admit Admission) *Service {
	done := make(chan struct{})
	return &Service{
		admit:      admit,
		containers: map[string]*container{},
		done:       done,
		end:        sync.OnceFunc(func() { close(done) }),
	}
}

// Done is closed when a client asked for shutdown and no container was left.
func (s *Service) Done() <-chan struct{} { return s.done }

// Create makes a container known.
func (s *Service) Create(_ context.Context, req *taskapi.CreateTaskRequest) (*taskapi.CreateTaskResponse, error) {
	path, err := config.PathIn(req.GetOptions())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := s.admit(req.GetBundle(), path); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.containers[req.GetID()] = newContainer(req)
	return &taskapi.CreateTaskResponse{Pid: pid()}, nil
}

// Start marks the container running.
func (s *Service) Start(_ context.Context, req *taskapi.StartRequest) (*taskapi.StartResponse, error) {
	c, err := s.find(req.GetID())
	if err != nil {
		return nil, err
	}
	c.start()
	return &taskapi.StartResponse{Pid: pid()}, nil
}

// State reports the container as CRI-O asks for it after its own restart.
func (s *Service) State(_ context.Context, req *taskapi.StateRequest) (*taskapi.StateResponse, error) {
	c, err := s.find(req.GetID())
	if err != nil {
		return nil, err
	}
	return c.state(), nil
}

// Wait answers when the container has ended.
func (s *Service) Wait(ctx context.Context, req *taskapi.WaitRequest) (*taskapi.WaitResponse, error) {
	c, err := s.find(req.GetID())
	if err != nil {
		return nil, err
	}
	select {
	case <-c.exited:
		end := c.state()
		return &taskapi.WaitResponse{ExitStatus: end.GetExitStatus(), ExitedAt: end.GetExitedAt()}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Kill ends the container; signal 0 only asks whether it is alive.
func (s *Service) Kill(_ context.Context, req *taskapi.KillRequest) (*emptypb.Empty, error) {
	c, err := s.find(req.GetID())
	if err != nil {
		return nil, err
	}
	if req.GetSignal() != 0 {
		c.kill(req.GetSignal(), time.Now())
		return &emptypb.Empty{}, nil
	}
	if !c.running() {
		return nil, status.Errorf(codes.NotFound, "process of %s has already finished", req.GetID())
	}
	return &emptypb.Empty{}, nil
}

// Delete forgets the container.
func (s *Service) Delete(_ context.Context, req *taskapi.DeleteRequest) (*taskapi.DeleteResponse, error) {
	c, err := s.find(req.GetID())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, req.GetID())
	end := c.state()
	return &taskapi.DeleteResponse{Pid: pid(), ExitStatus: end.GetExitStatus(), ExitedAt: timestamppb.Now()}, nil
}

// Connect names the process that serves the sandbox.
func (s *Service) Connect(context.Context, *taskapi.ConnectRequest) (*taskapi.ConnectResponse, error) {
	return &taskapi.ConnectResponse{ShimPid: pid(), TaskPid: pid()}, nil
}

// Shutdown ends the shim once no container is left, and does nothing before that.
func (s *Service) Shutdown(context.Context, *taskapi.ShutdownRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.containers) == 0 {
		s.end()
	}
	return &emptypb.Empty{}, nil
}

func (s *Service) find(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.containers[id]; ok {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "container %s is not known", id)
}

func pid() uint32 { return uint32(os.Getpid()) } //nolint:gosec // process ids fit
