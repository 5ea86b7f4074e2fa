// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forgetSandboxes starts CRI-O without the records of its sandboxes, as after its storage was
// wiped. Their processes run on.
func (s *subject) forgetSandboxes() {
	s.t.Helper()
	s.run("systemctl", "stop", crioUnit)
	s.run("sh", "-ec", "rm -f /var/lib/containers/storage/overlay-containers/*containers.json /run/containers/storage/overlay-containers/*containers.json")
	s.run("systemctl", "start", crioUnit)
}

func TestAShimThatCRIOHasForgottenIsNamedAndNotEnded(t *testing.T) {
	t.Parallel()
	s := newStandalone(t, "forgotten")
	s.intend(s.installing(s.one))
	s.awaitInstalled(s.one)
	s.runSandbox("pod", node.Handler)
	shim := s.onlyShim()
	assert.NotContains(t, s.run(agent, "status"), "of no sandbox")
	s.forgetSandboxes()
	s.intend(s.installing(s.two))
	s.awaitInstalled(s.two)
	pattern := fmt.Sprintf(`payload 1\.0\.0 .*held by (process %d \(containerd-shim-kata-v2, since \S+ \S+ UTC, of no sandbox that CRI-O lists\))`, shim)
	status := s.run(agent, "status")
	found := regexp.MustCompile(pattern).FindStringSubmatch(status)
	require.NotNil(t, found, status)

	s.intend(node.Intent{State: node.StateAbsent})
	s.awaitFile("waits", in(node.PhaseBlocked))
	s.awaitStatus("waiting for " + found[1] + ", which still uses payload 1.0.0 in slot ")
	assert.Equal(t, shim, s.onlyShim(), "the agent ends none")
	s.run("kill", "-KILL", strconv.Itoa(shim))
	s.awaitFile("has a removal", in(node.PhaseAbsent))
	assert.Empty(t, s.payloadMounts())
}
