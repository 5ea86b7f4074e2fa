// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fault"
)

// assertInstalled is how every killed installation ends: a pod runs, and CRI-O was started at boot
// and once more.
func (s *subject) assertInstalled() {
	s.t.Helper()
	s.awaitCompleted()
	s.runPod("pod")
	s.assertCRIOStarts(2)
	assert.Len(s.t, s.payloadMounts(), 1)
}

func TestAgentKilledDuringThePullConverges(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "killed-in-pull")
	stall := s.node.Images.Stall(fault.Blobs)
	s.want(map[string]any{})
	<-stall.Reached()
	s.kill()
	stall.Release()
	s.assertInstalled()
}

func TestAgentKilledAfterTheMountConverges(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "killed-after-mount")
	thaw := s.freeze(path.Dir(dropIn))
	s.want(map[string]any{})
	s.awaitMounts(1)
	s.awaitFailed(says("writing drop-in"))
	s.kill()
	thaw()
	s.assertInstalled()
}

func TestAgentKilledAfterTheDropInConverges(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "killed-after-drop-in")
	s.installUpToGrant()
	s.kill()
	s.change("paused", false)
	s.assertInstalled()
}

func TestAgentKilledDuringTheRestartOfCRIOConverges(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "killed-in-restart")
	start := s.blockStart()
	s.want(map[string]any{})
	hanging := start.awaitReader()
	s.kill()
	start.remove()
	require.NoError(t, hanging.Close())
	s.assertInstalled()
}

func TestAgentKilledDuringTheProofConverges(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "killed-in-proof")
	run := s.blockSandboxes()
	s.want(map[string]any{})
	hanging := run.awaitReader()
	s.kill()
	run.remove()
	require.NoError(t, hanging.Close())
	s.assertInstalled()
}

func TestAgentKilledDuringTheRemovalConverges(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "killed-in-removal")
	s.install()
	s.runPod("pod")
	s.endPod("pod")
	s.unwantSoon()
	s.await("the removal has begun", func(context.Context) error {
		if s.hasFile(dropIn) {
			return errors.New("the drop-in is there")
		}
		return nil
	})
	s.kill()
	s.awaitUnwanted()
	s.assertClean()
	s.assertCRIOStarts(2)
}

func TestAgentKilledAfterEveryStepConverges(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "killed-always")
	s.want(map[string]any{})
	lives := s.killUntil(func() bool { return s.current() != pending })
	assert.Greater(t, lives, 1)
	s.assertInstalled()
	s.endPod("pod")

	s.unwantSoon()
	lives = s.killUntil(func() bool { return len(s.payloadMounts()) == 0 })
	assert.Positive(t, lives)
	s.awaitUnwanted()
	s.assertClean()
	s.assertCRIOStarts(2)
}
