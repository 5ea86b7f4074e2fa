// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/test/bed/fault"
)

func TestAHungAgentIsRestartedByTheWatchdogAndConverges(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "hung")
	stall := s.node.Images.Stall(fault.Blobs)
	s.want(map[string]any{})
	<-stall.Reached()
	pid := s.mainPID(agentUnit)
	s.run("kill", "-STOP", strconv.Itoa(pid))
	stall.Release()
	s.awaitNewAgent(pid)
	journal, err := s.node.Journal(t.Context(), agentUnit)
	require.NoError(t, err)
	assert.Contains(t, journal, "Watchdog timeout")
	s.assertInstalled()
}

func TestARegistryThatStallsIsNamed(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "stalled")
	stall := s.node.Images.Stall(fault.Blobs)
	s.want(map[string]any{})
	<-stall.Reached()
	s.awaitObject("says that it installs, and not what it waits for later", func(o *corev1.Node) bool {
		return slices.ContainsFunc(o.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == node.ReadyCondition && strings.HasPrefix(c.Message, "installing")
		})
	})
	s.awaitFailed(says("no progress"))
	s.bindOrdinaryPod("ordinary")
	s.awaitPod("ordinary")
	stall.Release()
	s.assertInstalled()
}
