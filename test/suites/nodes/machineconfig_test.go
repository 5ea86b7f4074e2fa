// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/machineconfig"
)

// becomeConfigured replaces the package that brought the agent by the golden MachineConfig.
func (s *subject) becomeConfigured() machineconfig.Config {
	s.t.Helper()
	s.run("systemctl", "disable", "--now", agentUnit)
	s.run("rm", "-r", "/usr/lib/systemd/system/"+agentUnit, "/usr/lib/tmpfiles.d/kata-node-agent.conf", "/usr/libexec/kata-agent", "/run/kata-agent")
	config, err := machineconfig.Golden()
	require.NoError(s.t, err)
	require.NoError(s.t, config.Apply(s.t.Context(), s.node.Machine))
	// An administrator's own settings, of another MachineConfig.
	require.NoError(s.t, s.node.WriteFile("/etc/kata-agent/50-site.toml", []byte("allowed_payloads = ['registry.kata.test/kata']\n"), 0o644))
	agent, err := os.ReadFile(s.cluster.Programs.Path("kata-node-agent"))
	require.NoError(s.t, err)
	require.NoError(s.t, machineconfig.Offer(s.node.Machine, agent))
	require.NoError(s.t, machineconfig.Answer(s.t.Context(), s.node.Machine))
	s.run("systemctl", "daemon-reload")
	s.run("systemctl", "start", machineconfig.Pull)
	s.awaitNewAgent(0)
	return config
}

// The files go first and the actions come after them; the order in which an administrator should
// do it is another one, see docs/operations.md.
func TestAMachineConfigThatIsDeletedUnderAnInstallationTakesNothingFromPods(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "unconfigured")
	config := s.becomeConfigured()
	s.install()
	s.runPod("old")
	agent, shim := s.mainPID(agentUnit), s.onlyShim()

	require.NoError(t, config.Delete(t.Context(), s.node.Machine))
	s.run("systemctl", "daemon-reload") // what the policy for removals has
	assert.Equal(t, agent, s.mainPID(agentUnit), "the agent that runs stays, and does what is wanted")
	s.change("payloadImage", s.two)
	s.awaitCompleted()
	s.runPod("new")
	s.run("kill", "-KILL", strconv.Itoa(agent))
	s.await("the agent has ended", func(ctx context.Context) error {
		unit, err := s.node.Unit(ctx, agentUnit)
		if err == nil && unit["MainPID"] != "0" {
			err = errors.New("it runs as process " + unit["MainPID"])
		}
		return err
	})
	s.runPod("later")
	assert.Contains(t, s.awaitShims(3), shim)
	s.assertCRIOStarts(2)

	// Without the agent nothing makes what CRI-O resolves: it starts without our handlers.
	s.reboot()
	s.bindOrdinaryPod("ordinary")
	s.awaitPod("ordinary")
	s.awaitRefusal("new", "failed to find runtime handler kata-oc")
	s.assertCRIOStarts(3)
	for _, name := range []string{"old", "new", "later"} {
		s.endPod(name)
	}
	assert.Contains(t, s.run("/var/lib/kata-agent/bin/current/kata-node-agent", "remove"), "everything is removed")
	assert.False(t, s.hasFile(dropIn))
	assert.Empty(t, s.payloadMounts())
	assert.NoDirExists(t, s.node.Root()+host.StoreDir)
	s.awaitPod("ordinary")
}

// What the operator deletes it writes again when the MachineConfig is applied once more. The
// KataConfig stands all the time.
func TestAMachineConfigThatIsAppliedAgainBringsTheAgentBack(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "reconfigured")
	config := s.becomeConfigured()
	s.install()
	s.runPod("old")
	shim, mounts := s.onlyShim(), s.payloadMounts()

	// In the same boot: the agent that runs is the same program, and nothing else changes.
	require.NoError(t, config.Delete(t.Context(), s.node.Machine))
	s.run("systemctl", "daemon-reload")
	s.reconfigure(config)
	s.awaitCompleted()
	assert.Equal(t, shim, s.onlyShim())
	assert.Equal(t, mounts, s.payloadMounts())
	s.assertCRIOStarts(2)

	// After a boot without it: CRI-O has dropped the handlers, and is restarted under a new grant.
	require.NoError(t, config.Delete(t.Context(), s.node.Machine))
	s.reboot()
	s.awaitAdmission()
	s.awaitRefusal("old", "failed to find runtime handler kata-oc")
	s.reconfigure(config)
	s.awaitReport("is installed in this boot", s.installedIn(s.bootID()))
	s.awaitPod("old")
	s.awaitShims(1)
	s.runPod("new")
	s.assertCRIOStarts(4)

	// And it is there at the next boot, before CRI-O.
	s.reboot()
	s.awaitReport("is installed in this boot", s.installedIn(s.bootID()))
	s.awaitShims(2)
	s.assertCRIOStarts(5)
	for _, name := range []string{"old", "new"} {
		s.endPod(name)
	}
	s.unwant()
	s.assertClean()
}

// reconfigure does what the operator does with a MachineConfig that is applied again. The registry
// does not answer: the program is on the node.
func (s *subject) reconfigure(config machineconfig.Config) {
	s.t.Helper()
	require.NoError(s.t, config.Apply(s.t.Context(), s.node.Machine))
	// The actions of the disruption policy.
	s.run("systemctl", "daemon-reload")
	s.run("systemctl", "restart", agentUnit)
	s.run("systemctl", "restart", machineconfig.Pull)
	s.awaitNewAgent(0)
	for _, unit := range []string{agentUnit, "kata-agent.service", machineconfig.Pull} {
		assert.Contains(s.t, []string{"enabled", "alias"}, s.run("systemctl", "is-enabled", unit), unit)
	}
}

func (s *subject) installedIn(boot string) func(node.Report) bool {
	return func(r node.Report) bool { return in(node.PhaseInstalled)(r) && r.BootID == boot }
}
