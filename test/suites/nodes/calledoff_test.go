// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fault"
	"github.com/kata-node/kata-node/test/bed/snapshot"
)

// At each of these moments of an installation nothing is wanted any more. What began is ended, and
// nothing is left, as if it had never begun.
func TestAnInstallationThatIsCalledOffAtAnyMomentLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newStandalone(t, "called-off")
	s.blockStart().remove()
	before := s.files()
	for _, moment := range []struct {
		name string
		// reach begins an installation and returns at that moment; what it returns lets it go on.
		reach func() (release func())
	}{
		{"while it is pulled", s.reachPull},
		{"while it waits for a grant", s.reachGrant},
		{"while CRI-O is restarted", func() func() { return s.reach(s.block(startOfCRIO)) }},
		{"while it is proved", func() func() { return s.reach(s.blockSandboxes()) }},
		{"once it serves", s.reachEnd},
	} {
		release := moment.reach()
		s.intend(node.Intent{State: node.StateAbsent})
		release()
		s.awaitFile("has a removal, "+moment.name, in(node.PhaseAbsent))
		s.run("rm", intentFile)
		s.awaitFile("is that of a node on which nothing is wanted", in(node.PhaseIdle))
		s.await("the record of the intent is deleted", func(ctx context.Context) error {
			_, err := s.node.Exec(ctx, "test", "!", "-e", host.IntentFile)
			return err
		})
		assert.Empty(t, snapshot.Diff(before, s.files()), moment.name)
		assert.Empty(t, s.payloadMounts(), moment.name)
		assert.Equal(t, pending, s.current(), moment.name)
		s.awaitShims(0)
		s.assertUndisturbed(t.Context())
		s.run("crio", "config")
	}
}

func (s *standalone) reachPull() (release func()) {
	s.t.Helper()
	stall := s.node.Images.Stall(fault.Blobs)
	s.intend(s.installing(s.one))
	<-stall.Reached()
	return stall.Release
}

func (s *standalone) reachGrant() (release func()) {
	s.t.Helper()
	s.intend(node.Intent{State: node.StateInstalled, Payload: s.one})
	s.awaitFile("waits for a grant", in(node.PhaseAwaitingGrant))
	return func() {}
}

// reach installs until a program stops at a FIFO.
func (s *standalone) reach(stop fifo) (release func()) {
	s.t.Helper()
	s.intend(s.installing(s.one))
	hanging := stop.awaitReader()
	return func() {
		s.t.Helper()
		stop.remove()
		require.NoError(s.t, hanging.Close())
	}
}

func (s *standalone) reachEnd() (release func()) {
	s.t.Helper()
	s.intend(s.installing(s.one))
	s.awaitInstalled(s.one)
	return func() {}
}
