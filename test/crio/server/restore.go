// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"

	"github.com/kata-node/kata-node/test/crio/sandbox"
	"github.com/kata-node/kata-node/test/crio/vm"
)

// restore finds a sandbox's shim again. It never gives the sandbox up: what cannot be reached is reported as it was last known.
func (s *Server) restore(ctx context.Context, r sandbox.Record) {
	if r.Infra != sandbox.InfraShim || r.Stopped {
		return
	}
	log := s.Log.WithField("sandbox", r.ID)
	if _, err := s.Handlers.Find(r.Handler); err != nil {
		log.Warnf("Error updating the container status %q: %v", r.ID, err)
		return
	}
	shim, err := vm.Reconnect(ctx, r.ID, s.Store.Bundle(r.ID))
	if err != nil {
		log.Warnf("Error updating the container status %q: %v", r.ID, err)
		return
	}
	s.remember(r.ID, shim)
	go s.watch(ctx, r.ID, shim)
}
