// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/crio/config"
	"github.com/kata-node/kata-node/test/standin/crio/fault"
	"github.com/kata-node/kata-node/test/standin/crio/oci"
	"github.com/kata-node/kata-node/test/standin/crio/sandbox"
	"github.com/kata-node/kata-node/test/standin/crio/vm"
)

// RunPodSandbox makes a sandbox with the handler that was configured when this process started.
func (s *Server) RunPodSandbox(ctx context.Context, req *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	r, err := sandbox.New(newID(), req, time.Now())
	if err != nil {
		return nil, err
	}
	existing, release, err := s.reserve(r.Name())
	if err != nil || existing != "" {
		return &runtimeapi.RunPodSandboxResponse{PodSandboxId: existing}, err
	}
	defer release()
	if err := s.start(ctx, r); err != nil {
		s.Log.WithField("sandbox", r.Name()).Warnf("RunPodSandbox: %v", err)
		return nil, err
	}
	s.Log.WithField("sandbox", r.ID).Infof("Ran pod sandbox %s with handler %q", r.Name(), r.Handler)
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: r.ID}, nil
}

// reserve answers with the sandbox that already has the name, else holds the name until release.
func (s *Server) reserve(name string) (existing string, release func(), err error) {
	if r, ok := s.Store.Named(name); ok {
		return r.ID, nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved[name] {
		return "", nil, fmt.Errorf("error reserving pod name %s: it is being created", name) //nolint:revive // CRI-O's own words
	}
	s.reserved[name] = true
	return "", func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.reserved, name)
	}, nil
}

func (s *Server) start(ctx context.Context, r sandbox.Record) error {
	h, err := s.Handlers.Find(r.Handler)
	if err != nil {
		return err
	}
	if err := s.attach(ctx, r); err != nil {
		return err
	}
	if err := s.Faults.Hold(ctx, fault.StallRun); err != nil {
		return err
	}
	if err := s.makeLogDir(r); err != nil {
		return err
	}
	r.Infra = s.infra(h)
	if err := s.startInfra(ctx, h, r); err != nil {
		return errors.Join(err, s.Store.Remove(r.ID))
	}
	return nil
}

// makeLogDir makes the directory of the sandbox's logs, which nothing removes: a kubelet removes
// those that it asked for.
func (s *Server) makeLogDir(r sandbox.Record) error {
	dir := r.LogDir
	if dir == "" {
		dir = filepath.Join(s.LogDir, r.ID)
	}
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("requested logDir for sbuilder ID %s is a relative path: %s", r.ID, dir)
	}
	return os.MkdirAll(dir, 0o700)
}

func (s *Server) infra(h *config.Handler) sandbox.Infra {
	switch {
	case h.RuntimeType == config.TypeVM:
		return sandbox.InfraShim
	case s.DropInfra:
		return sandbox.InfraNone
	}
	return sandbox.InfraOCI
}

func (s *Server) startInfra(ctx context.Context, h *config.Handler, r sandbox.Record) error {
	bundle := s.Store.Bundle(r.ID)
	if err := writeBundle(bundle, r, s.CgroupParent); err != nil {
		return err
	}
	switch r.Infra {
	case sandbox.InfraShim:
		return s.startShim(ctx, h, r)
	case sandbox.InfraOCI:
		if err := (oci.Container{Handler: h, ID: r.ID, Bundle: bundle}).Run(ctx); err != nil {
			return err
		}
	case sandbox.InfraNone:
	}
	return s.Store.Save(r)
}

func (s *Server) attach(ctx context.Context, r sandbox.Record) error {
	if r.HostNetwork {
		return nil
	}
	if err := s.Network.Attach(ctx, r.Namespace, r.PodName, r.UID); err != nil {
		return fmt.Errorf("failed to create pod network sandbox %s(%s): %w", r.Name(), r.ID, err) //nolint:revive // CRI-O's own words
	}
	return nil
}

func (s *Server) startShim(ctx context.Context, h *config.Handler, r sandbox.Record) error {
	shim, err := vm.Launch(ctx, h, r.ID, s.Store.Bundle(r.ID))
	if err != nil {
		return err
	}
	err = shim.Run(ctx, h)
	if err == nil {
		err = s.Store.Save(r)
	}
	if err != nil {
		s.discard(context.WithoutCancel(ctx), shim)
		return err
	}
	s.remember(r.ID, shim)
	go s.watch(context.WithoutCancel(ctx), r.ID, shim)
	return nil
}

func (s *Server) discard(ctx context.Context, shim *vm.Shim) {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	if err := shim.Discard(ctx); err != nil {
		s.Log.Infof("Cleaning up a shim: %v", err)
	}
}

// watch marks the sandbox stopped when its shim says that it ended. A shim that vanished says
// nothing, and CRI-O goes on calling it READY.
func (s *Server) watch(ctx context.Context, id string, shim *vm.Shim) {
	if err := shim.Wait(ctx); err != nil {
		s.Log.WithField("sandbox", id).Warnf("Wait for %s returned: %v", id, err)
		return
	}
	s.markStopped(id)
}

func newID() string {
	var id [32]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
