// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fault"
	"github.com/kata-node/kata-node/test/bed/machine"
)

// A soft reboot keeps the kernel, the boot's id and the agent's records below /run, and ends every
// process: the pods', their shims, CRI-O and the kubelet. Nothing that was known of the former
// CRI-O holds for the new one.
func TestASoftRebootedNodeServesFromItsOwnStoreAndProvesThePayloadAnew(t *testing.T) {
	t.Parallel()
	options := bed.NodeOptions{Release: machine.Trixie}
	require.NoError(t, sharedCluster(t).cluster.PrepareNodes(t.Context(), options))
	s := newSubjectWith(t, "soft-rebooted", options)
	s.install()
	s.runPod("pod")
	current, boot, invocation := s.current(), s.bootID(), s.proved()
	s.node.API.Cut()
	s.node.Images.Refuse(fault.Anything, http.StatusServiceUnavailable)
	asked := len(s.node.Images.Requests())

	s.dismissBystander()
	require.NoError(t, s.node.SoftReboot(t.Context()))
	assert.Equal(t, boot, s.bootID())
	assert.Equal(t, current, s.awaitServing())
	s.await("the CRI-O that runs now has proved the payload", func(context.Context) error {
		if now := s.proved(); now == invocation || now != s.invocation() {
			return fmt.Errorf("%s has, and %s had before", now, invocation)
		}
		return nil
	})
	assert.Len(t, s.node.Images.Requests(), asked)
	s.node.API.Restore()
	s.awaitAdmission()
	s.awaitShims(1)
	s.awaitPod("pod")
	s.awaitPod(bystanderName)
	s.watchBystander(s.pod(bystanderName))
	s.runPod("new")
	s.awaitCompleted()

	s.endPod("pod")
	s.endPod("new")
	s.unwant()
	s.assertClean()
	s.assertCRIOStarts(3)
}

// invocation is that of the CRI-O that runs.
func (s *subject) invocation() string {
	s.t.Helper()
	unit, err := s.node.Unit(s.t.Context(), crioUnit)
	require.NoError(s.t, err)
	return unit["InvocationID"]
}

// proved is the invocation of CRI-O that has proved what new pods get, empty while none has.
func (s *subject) proved() string {
	s.t.Helper()
	var proved record.Proved
	document, err := s.node.ReadFile(s.t.Context(), host.RunDir+"/current/proved.json")
	if err != nil {
		return ""
	}
	require.NoError(s.t, json.Unmarshal(document, &proved))
	return proved.Invocation
}
