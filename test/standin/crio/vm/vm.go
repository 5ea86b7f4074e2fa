// SPDX-License-Identifier: Apache-2.0

// Package vm drives a containerd shim for one sandbox, as CRI-O's vm runtime type does.
// After a restart of CRI-O it finds the shim again through the bundle's address file.
package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/kata-node/kata-node/test/standin/crio/config"
)

// ErrGone means that the shim no longer answers; the text is CRI-O's.
var ErrGone = errors.New("ttrpc: closed: unknown")

const namespace = "default"

// Shim is a connection to the process that serves one sandbox.
type Shim struct {
	id, bundle string
	client     *ttrpc.Client
	task       taskapi.TTRPCTaskService
}

// Launch runs the handler's binary with `start` in the bundle and connects to the address it
// prints.
func Launch(ctx context.Context, h *config.Handler, id, bundle string) (*Shim, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, h.RuntimePath, //nolint:gosec // the configured runtime
		"-namespace", namespace, "-address", "", "-publish-binary", self, "-id", id, "start")
	cmd.Dir, cmd.Stderr = bundle, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	address, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stderr.String(), err)
	}
	return connect(ctx, strings.TrimSpace(string(address)), id, bundle)
}

// Reconnect finds the sandbox's shim again.
func Reconnect(ctx context.Context, id, bundle string) (*Shim, error) {
	address, err := os.ReadFile(filepath.Join(bundle, "address"))
	if err != nil {
		return nil, fmt.Errorf("reading shim address: %w", err)
	}
	return connect(ctx, strings.TrimSpace(string(address)), id, bundle)
}

func connect(ctx context.Context, address, id, bundle string) (*Shim, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", strings.TrimPrefix(address, "unix://"))
	if err != nil {
		return nil, err
	}
	client := ttrpc.NewClient(conn, ttrpc.WithOnClose(func() { _ = conn.Close() })) //nolint:errcheck // it is closed already
	return &Shim{id: id, bundle: bundle, client: client, task: taskapi.NewTTRPCTaskClient(client)}, nil
}

// Run creates and starts the sandbox's container.
func (s *Shim) Run(ctx context.Context, h *config.Handler) error {
	options, err := optionsOf(h)
	if err != nil {
		return err
	}
	if _, err := s.task.Create(ctx, &taskapi.CreateTaskRequest{ID: s.id, Bundle: s.bundle, Options: options}); err != nil {
		return fmt.Errorf("CreateContainer failed: %w", plain(err))
	}
	_, err = s.task.Start(ctx, &taskapi.StartRequest{ID: s.id})
	return plain(err)
}

// Wait returns when the sandbox has ended, with ErrGone when its shim went without saying so.
func (s *Shim) Wait(ctx context.Context) error {
	_, err := s.task.Wait(ctx, &taskapi.WaitRequest{ID: s.id})
	return plain(err)
}

// Stopped asks the shim once whether the sandbox has ended.
func (s *Shim) Stopped(ctx context.Context) (bool, error) {
	state, err := s.task.State(ctx, &taskapi.StateRequest{ID: s.id})
	return state.GetStatus() == tasktypes.Status_STOPPED, plain(err)
}

// Kill sends a signal to the sandbox.
func (s *Shim) Kill(ctx context.Context, signal syscall.Signal) error {
	_, err := s.task.Kill(ctx, &taskapi.KillRequest{ID: s.id, Signal: uint32(signal)}) //nolint:gosec // signals are small
	return plain(err)
}

// Delete makes the shim forget the sandbox and end.
func (s *Shim) Delete(ctx context.Context) error {
	_, deleted := s.task.Delete(ctx, &taskapi.DeleteRequest{ID: s.id})
	_, ended := s.task.Shutdown(ctx, &taskapi.ShutdownRequest{ID: s.id})
	if err := errors.Join(plain(deleted), plain(ended)); err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	return s.client.Close()
}

// Discard ends a shim whose sandbox never came to run.
func (s *Shim) Discard(ctx context.Context) error {
	_, _ = s.task.Delete(ctx, &taskapi.DeleteRequest{ID: s.id}) //nolint:errcheck // the container may never have been made
	_, err := s.task.Shutdown(ctx, &taskapi.ShutdownRequest{ID: s.id})
	return errors.Join(plain(err), s.client.Close())
}

func optionsOf(h *config.Handler) (*anypb.Any, error) {
	if h.RuntimeConfigPath == "" {
		return nil, nil
	}
	options := &runtimeoptions.Options{ConfigPath: h.RuntimeConfigPath}
	value, err := proto.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("encoding runtime options: %w", err)
	}
	return &anypb.Any{TypeUrl: string(options.ProtoReflect().Descriptor().FullName()), Value: value}, nil
}

// plain drops the transport's framing from an error, as CRI-O does before it reports one.
func plain(err error) error {
	switch s, ok := status.FromError(err); {
	case err == nil:
		return nil
	case errors.Is(err, ttrpc.ErrClosed):
		return ErrGone
	case ok && s.Code() == codes.Unknown:
		return errors.New(s.Message() + ": unknown")
	case ok:
		return errors.New(s.Message())
	}
	return err
}
