// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fault"
)

func TestARebootedNodeServesFromItsOwnStoreAlone(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "rebooted")
	s.install()
	s.runPod("pod")
	current := s.current()
	s.node.API.Cut()
	s.node.Images.Refuse(fault.Anything, http.StatusServiceUnavailable)
	asked := len(s.node.Images.Requests())

	require.NoError(t, s.node.Reboot(t.Context()))
	assert.Equal(t, current, s.awaitServing())
	assert.Len(t, s.node.Images.Requests(), asked)
	s.node.API.Restore()
	s.awaitAdmission()
	s.awaitShims(1)
	s.awaitPod("pod")
	s.runPod("new")
	s.awaitCompleted()
	s.assertCRIOStarts(3)
}

// notServed is the reason that a kata pod gets where the agent has left no other reason.
const notServed = "Kata is not ready on this node: no payload is served: see systemctl status kata-agent on the node"

func TestANodeWhoseAgentIsKeptFromRunningWorksAndSaysWhyKataDoesNot(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "without-agent")
	s.install()
	s.runPod("old")
	const off = "/etc/systemd/system/kata-node-agent.service.d/off.conf"
	require.NoError(t, s.node.WriteFile(off, []byte("[Unit]\nConditionPathExists=/nonexistent\n"), 0o644))
	require.NoError(t, s.node.Reboot(t.Context()))
	s.awaitAdmission()
	s.bindOrdinaryPod("ordinary")
	s.awaitPod("ordinary")
	s.awaitRefusal("old", notServed)
	s.bindPod("new")
	s.awaitRefusal("new", notServed)
	s.restartKubelet()
	s.assertCRIOStarts(3)
	said := s.run("journalctl", "--boot", "--quiet", "--output=cat", "--unit="+crioUnit)
	assert.Contains(t, said, "kata-agent: no payload is served on this node", "CRI-O asks each handler who it is")
	assert.NotContains(t, said, "features failed", "and what it can do")

	s.run("rm", off)
	s.run("systemctl", "daemon-reload")
	s.run("systemctl", "start", agentUnit)
	s.awaitPod("new")
	s.awaitShims(2)
	s.assertCRIOStarts(3)
}

func TestARestartedKubeletKeepsItsKataPodsThroughUpdateErrorAndRemoval(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "kubelet")
	s.install()
	s.runPod("pod")
	shim := s.onlyShim()

	stall := s.node.Images.Stall(fault.Blobs)
	s.change("payloadImage", s.two)
	<-stall.Reached()
	s.restartKubelet()
	stall.Release()
	s.awaitCompleted()
	s.change("payloadImage", s.broken)
	s.awaitFailed(says(brokenSentence))
	s.restartKubelet()
	s.unwantSoon()
	s.awaitBlocked()
	s.restartKubelet()

	assert.Equal(t, shim, s.onlyShim())
	s.endPod("pod")
	s.awaitUnwanted()
	s.assertClean()
	s.assertCRIOStarts(2)
}

// awaitShims waits until so many shims run, and returns their process ids: a proof may be under
// way, and a pod's status may still be that from before a reboot.
func (s *subject) awaitShims(count int) (shims []int) {
	s.t.Helper()
	s.await(fmt.Sprintf("%d shims run", count), func(ctx context.Context) (err error) {
		if shims, err = s.node.Shims(ctx); err == nil && len(shims) != count {
			err = fmt.Errorf("there are %v", shims)
		}
		return err
	})
	return shims
}
