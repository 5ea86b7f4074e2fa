// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/fault"
)

// installUpToGrant stops an installation where only the restart of CRI-O is missing, with the
// KataConfig paused.
func (s *subject) installUpToGrant() {
	s.t.Helper()
	stall := s.node.Images.Stall(fault.Blobs)
	s.want(map[string]any{})
	<-stall.Reached()
	s.pause() // a paused KataConfig gives no grant
	stall.Release()
	s.awaitReport("asks for a restart of CRI-O", in(node.PhaseAwaitingGrant))
	require.True(s.t, s.hasFile(dropIn))
	s.assertCRIOStarts(1)
}

func TestACRIOThatSomebodyElseRestartedIsNotRestartedAgain(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "restarted-by-hand")
	s.installUpToGrant()
	s.run("systemctl", "restart", crioUnit)
	s.awaitReport("is installed without a grant", in(node.PhaseInstalled))
	s.change("paused", false)
	s.assertInstalled()
}

func TestANodeThatRebootsBeforeItsGrantNeedsNone(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "rebooted-early")
	s.installUpToGrant()
	require.NoError(t, s.node.Reboot(t.Context()))
	s.awaitReport("is installed without a grant", in(node.PhaseInstalled))
	s.change("paused", false)
	s.assertInstalled()
}

func TestAHungCRIOIsWaitedForAndSaid(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "hung-crio")
	s.setCRIO("hang", "WatchdogSec=0") // from the installation's restart on: a minute may pass below
	s.install()
	crio := strconv.Itoa(s.mainPID(crioUnit))
	s.run("kill", "-STOP", crio)
	s.unwantSoon()
	s.awaitReport("waits", func(r node.Report) bool { return r.Phase == node.PhaseBlocked })
	s.awaitStatus("waiting for CRI-O to answer")
	s.run("kill", "-CONT", crio)
	s.awaitUnwanted()
	s.assertClean()
	s.assertCRIOStarts(2)
}

func TestACRIOThatDoesNotComeBackIsQuoted(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "broken-crio")
	s.installUpToGrant()
	s.setCRIO("broken", `ExecStartPre=/bin/sh -c "echo no space for this >&2; exit 1"`)
	s.change("paused", false)
	s.awaitReport("has CRI-O's own words", func(r node.Report) bool {
		return r.Error != nil && r.Error.Reason == node.ReasonCRIONotRunning && strings.Contains(r.Error.Message, "no space for this")
	})
	s.setCRIO("broken", "")
	s.run("systemctl", "restart", crioUnit)
	s.assertInstalled()
}
