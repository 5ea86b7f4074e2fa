// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unmount takes the payloads' mounts away, as an administrator or a soft reboot does. An agent that
// runs may mount one again at once.
func (s *subject) unmount() {
	s.t.Helper()
	for _, point := range slices.Sorted(maps.Keys(s.payloadMounts())) {
		s.run("umount", "--lazy", point)
	}
}

func (s *subject) awaitMounts(count int) {
	s.t.Helper()
	s.await(fmt.Sprintf("%d payloads are mounted", count), func(ctx context.Context) error {
		points, err := s.node.PayloadMounts(ctx)
		if err == nil && len(points) != count {
			err = fmt.Errorf("mounted are %v", points)
		}
		return err
	})
}

func TestAnOldPayloadThatAShellStandsInGoesWithTheShell(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "shell")
	s.install()
	inside := "--property=WorkingDirectory=/run/kata-agent/" + s.current() + "/payload"
	s.run("systemd-run", "--unit=shell", inside, "sleep", "infinity")
	s.change("payloadImage", s.two)
	s.awaitCompleted()
	s.awaitStatus(fmt.Sprintf("device or resource busy; in use by process %d (sleep)", s.mainPID("shell.service")))
	require.Len(t, s.payloadMounts(), 2)
	s.run("systemctl", "stop", "shell.service")
	s.awaitMounts(1)
}

func TestALostMountIsNeverServed(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "lost-mount")
	s.install()
	current := s.current()
	s.unmount()
	s.kill()
	s.awaitMounts(1)
	assert.Equal(t, current, s.awaitServing())
	s.runPod("old")

	// What a soft reboot does, which systemd has from 254 on: services stop, mounts go, files below
	// /run and the boot's id stay, temporary files are made as at a boot, services start.
	s.run("systemctl", "stop", kubeletUnit, crioUnit, agentUnit)
	s.unmount()
	require.Empty(t, s.payloadMounts())
	s.run("systemd-tmpfiles", "--create", "--boot", "--prefix=/run/kata-agent")
	assert.Equal(t, pending, s.current(), "what CRI-O resolves leads somewhere before the agent runs")
	s.run("systemctl", "start", agentUnit, crioUnit, kubeletUnit)
	s.awaitAdmission()
	assert.Equal(t, current, s.awaitServing())
	s.awaitCompleted()
	s.runPod("new")
	s.awaitReport("is installed", in(node.PhaseInstalled))
	s.assertCRIOStarts(3)
}
