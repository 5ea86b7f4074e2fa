// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/crio/fault"
	"github.com/kata-node/kata-node/test/standin/crio/oci"
	"github.com/kata-node/kata-node/test/standin/crio/sandbox"
	"github.com/kata-node/kata-node/test/standin/crio/vm"
)

// stopGrace is how long a shim may take to end its sandbox.
const stopGrace = 10 * time.Second

// StopPodSandbox ends the sandbox; one that is not known counts as stopped.
func (s *Server) StopPodSandbox(ctx context.Context, req *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	r, ok, err := s.find(req.GetPodSandboxId())
	if err != nil || !ok || r.Stopped {
		return &runtimeapi.StopPodSandboxResponse{}, err
	}
	if err := s.Faults.Hold(ctx, fault.StallStop); err != nil {
		return nil, err
	}
	if err := s.stop(ctx, r); err != nil {
		s.Log.WithField("sandbox", r.ID).Warnf("StopPodSandbox: %v", err)
		return nil, fmt.Errorf("failed to stop infra container for pod sandbox %s: failed to stop container %s: %w", r.ID, r.ID, err) //nolint:revive // CRI-O's own words
	}
	s.markStopped(r.ID)
	s.Log.WithField("sandbox", r.ID).Infof("Stopped pod sandbox: %s", r.ID)
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

// RemovePodSandbox stops the sandbox where needed and forgets it.
func (s *Server) RemovePodSandbox(ctx context.Context, req *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	r, ok, err := s.find(req.GetPodSandboxId())
	if err != nil || !ok {
		return &runtimeapi.RemovePodSandboxResponse{}, err
	}
	if !r.Stopped {
		if err := s.stop(ctx, r); err != nil {
			return nil, fmt.Errorf("failed to stop container for removal failed to stop container %s: %w", r.ID, err) //nolint:revive // CRI-O's own words
		}
	}
	if err := s.release(ctx, r); err != nil {
		return nil, fmt.Errorf("failed to delete container %s in pod sandbox %s: %w", r.ID, r.ID, err) //nolint:revive // CRI-O's own words
	}
	s.forget(r.ID)
	s.Log.WithField("sandbox", r.ID).Infof("Removed pod sandbox: %s", r.ID)
	return &runtimeapi.RemovePodSandboxResponse{}, s.Store.Remove(r.ID)
}

func (s *Server) find(id string) (sandbox.Record, bool, error) {
	if id == "" {
		return sandbox.Record{}, false, errors.New("PodSandboxId should not be empty")
	}
	r, ok := s.Store.Find(id)
	return r, ok, nil
}

// stop needs the handler even where a shim is there: without it CRI-O cannot say how to reach what
// keeps the sandbox.
func (s *Server) stop(ctx context.Context, r sandbox.Record) error {
	switch r.Infra {
	case sandbox.InfraShim:
		return s.stopShim(ctx, r)
	case sandbox.InfraOCI:
		c, err := s.container(r)
		if err != nil {
			return err
		}
		return c.Stop(ctx)
	case sandbox.InfraNone:
	}
	return nil
}

func (s *Server) stopShim(ctx context.Context, r sandbox.Record) error {
	shim, err := s.reach(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	if err := shim.Kill(ctx, syscall.SIGTERM); err != nil {
		return err
	}
	if err := shim.Wait(ctx); err != nil && !errors.Is(err, vm.ErrGone) {
		return err
	}
	return nil
}

func (s *Server) release(ctx context.Context, r sandbox.Record) error {
	switch r.Infra {
	case sandbox.InfraShim:
		shim, err := s.reach(r)
		if err != nil {
			return err
		}
		return shim.Delete(ctx)
	case sandbox.InfraOCI:
		c, err := s.container(r)
		if err != nil {
			return err
		}
		return c.Delete(ctx)
	case sandbox.InfraNone:
	}
	return nil
}

func (s *Server) container(r sandbox.Record) (oci.Container, error) {
	h, err := s.Handlers.Find(r.Handler)
	return oci.Container{Handler: h, ID: r.ID, Bundle: s.Store.Bundle(r.ID)}, err
}

// errNoContainer is what CRI-O says of a finished sandbox whose shim it has not found again after
// its own start.
var errNoContainer = errors.New("could not retrieve container information") //nolint:revive // CRI-O's own words

// reach panics, as CRI-O does, over a shim that was found dead when this process started while its
// sandbox is READY: nothing was connected then, and nothing checks for that. Take this branch away
// when CRI-O is fixed.
func (s *Server) reach(r sandbox.Record) (*vm.Shim, error) {
	if shim, ok := s.shim(r.ID); ok {
		return shim, nil
	}
	if _, err := s.Handlers.Find(r.Handler); err != nil {
		return nil, err
	}
	if r.Stopped {
		return nil, errNoContainer
	}
	panic("runtime error: invalid memory address or nil pointer dereference: no task client for " + r.ID)
}

func (s *Server) markStopped(id string) {
	r, ok := s.Store.Find(id)
	if !ok {
		return
	}
	r.Stopped = true
	if err := s.Store.Save(r); err != nil {
		s.Log.WithField("sandbox", id).Errorf("Unable to write sandbox state: %v", err)
	}
}
