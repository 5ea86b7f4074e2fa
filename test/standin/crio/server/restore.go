// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"

	"github.com/kata-node/kata-node/test/standin/crio/sandbox"
	"github.com/kata-node/kata-node/test/standin/crio/vm"
)

// restore finds a sandbox's shim again and asks it once. It never gives a sandbox up: what cannot
// be reached is reported as it was last known, and nothing waits for the end of what can, so that a
// VM which ends by itself from now on stays READY. A finished sandbox whose shim has gone meanwhile
// is listed for ever: without the shim CRI-O has nothing to delete it by.
func (s *Server) restore(ctx context.Context, r sandbox.Record) {
	if r.Infra != sandbox.InfraShim {
		return
	}
	shim, stopped, err := s.findAgain(ctx, r)
	if err != nil {
		s.Log.WithField("sandbox", r.ID).Warnf("Error updating the container status %q: %v", r.ID, err)
		return
	}
	s.remember(r.ID, shim)
	if stopped {
		s.markStopped(r.ID)
	}
}

func (s *Server) findAgain(ctx context.Context, r sandbox.Record) (shim *vm.Shim, stopped bool, err error) {
	if _, err := s.Handlers.Find(r.Handler); err != nil {
		return nil, false, err
	}
	shim, err = vm.Reconnect(ctx, r.ID, s.Store.Bundle(r.ID))
	if err != nil {
		return nil, false, err
	}
	stopped, err = shim.Stopped(ctx)
	return shim, stopped, err
}
