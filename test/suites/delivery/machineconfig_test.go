// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/agentrpm"
	"github.com/kata-node/kata-node/test/bed/machine"
	"github.com/kata-node/kata-node/test/bed/machineconfig"
)

// firstBoot is there until the machine-config operator has done with a new node.
const firstBoot = "/etc/ignition-machine-config-encapsulated.json"

// configured is a machine, off, that gets its agent by a MachineConfig from a registry that does
// not answer yet.
func configured(t *testing.T, name string) *machine.Machine {
	t.Helper()
	m := node(t, name)
	need(t, "make", "rpmbuild", "rpm2cpio", "cpio")
	config, err := machineconfig.Golden()
	require.NoError(t, err)
	require.NoError(t, config.Apply(t.Context(), m))
	packaged := t.TempDir()
	rpm, err := agentrpm.Build(t.Context(), "", t.TempDir())
	require.NoError(t, err)
	require.NoError(t, agentrpm.Unpack(t.Context(), rpm, packaged))
	agent, err := os.ReadFile(filepath.Join(packaged, agentrpm.Agent))
	require.NoError(t, err)
	require.NoError(t, machineconfig.Offer(m, agent))
	return m
}

func TestAMachineConfigBringsTheAgentWithoutDelayingTheBoot(t *testing.T) {
	t.Parallel()
	m := configured(t, "machineconfig")
	require.NoError(t, m.Boot(t.Context()))
	_, err := m.AwaitRunning(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "active", show(t, m, "crio.service")["ActiveState"], "a registry that does not answer keeps nobody waiting")
	skipped := show(t, m, "kata-node-agent.service")
	assert.Equal(t, "inactive", skipped["ActiveState"])
	assert.Equal(t, "no", skipped["ConditionResult"])

	require.NoError(t, machineconfig.Answer(t.Context(), m))
	awaitAgent(t, m)
	require.NoError(t, m.Reboot(t.Context()))
	_, err = m.AwaitRunning(t.Context())
	require.NoError(t, err)
	up, crio := show(t, m, "kata-node-agent.service"), show(t, m, "crio.service")
	assert.Equal(t, "active", up["ActiveState"], "no network is needed for the digest that is there")
	assert.Less(t, micros(t, up, "ActiveEnterTimestampMonotonic"), micros(t, crio, "ExecMainStartTimestampMonotonic"))
	_, err = m.Exec(t.Context(), "test", "-x", "/run/kata-agent/current/kata-oc/containerd-shim-kata-v2")
	require.NoError(t, err, "tmpfiles links the pulled agent as the shim of pending")
}

func awaitAgent(t *testing.T, m *machine.Machine) {
	t.Helper()
	require.Eventually(t, func() bool { return show(t, m, "kata-node-agent.service")["ActiveState"] == "active" }, patience, 100*time.Millisecond)
}

// The operator lets a new node reboot into its own system before it deletes its mark. Where the
// node runs that system already, it renames the mark and continues in the same boot.
func TestNothingIsPulledBeforeTheOperatorIsDoneWithANewNode(t *testing.T) {
	t.Parallel()
	m := configured(t, "first-boot")
	require.NoError(t, m.WriteFile(firstBoot, []byte("{}"), 0o644))
	require.NoError(t, m.Boot(t.Context()))
	_, err := m.AwaitRunning(t.Context())
	require.NoError(t, err)
	require.NoError(t, machineconfig.Answer(t.Context(), m))
	require.NoError(t, m.Reboot(t.Context()))
	_, err = m.AwaitRunning(t.Context())
	require.NoError(t, err)
	require.NoError(t, machineconfig.Answer(t.Context(), m))
	assert.Equal(t, "active", show(t, m, machineconfig.Pull)["ActiveState"], "it waits, and holds up neither boot nor CRI-O")
	assert.Equal(t, "active", show(t, m, "crio.service")["ActiveState"])
	assert.False(t, machineconfig.Asked(t.Context(), m))
	assert.Equal(t, "inactive", show(t, m, "kata-node-agent.service")["ActiveState"])

	_, err = m.Exec(t.Context(), "mv", firstBoot, firstBoot+".bak")
	require.NoError(t, err)
	awaitAgent(t, m)
	assert.True(t, machineconfig.Asked(t.Context(), m))
}

func TestAnAgentThatDiesAtOnceGivesItsPlaceBackOnANode(t *testing.T) {
	t.Parallel()
	m := configured(t, "way-back")
	require.NoError(t, m.Boot(t.Context()))
	require.NoError(t, machineconfig.Answer(t.Context(), m))
	awaitAgent(t, m)
	before, err := m.Exec(t.Context(), "readlink", "/var/lib/kata-agent/bin/current")
	require.NoError(t, err)

	_, err = m.Exec(t.Context(), "sh", "-ec", `printf '#!/bin/sh\nexit 1\n' >/opt/kata-node-agent
		printf '[Service]\nEnvironment=AGENT_IMAGE=registry.example/agent@sha256:%064d\n' 0 >/etc/systemd/system/kata-agent-pull.service.d/20-other.conf
		systemctl daemon-reload
		systemctl restart kata-agent-pull.service`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return show(t, m, "kata-agent-pull.service")["ActiveState"] == "failed" }, patience, time.Second)
	awaitAgent(t, m)
	after, err := m.Exec(t.Context(), "readlink", "/var/lib/kata-agent/bin/current")
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
	journal, err := m.Journal(t.Context(), "kata-agent-pull.service")
	require.NoError(t, err)
	assert.Contains(t, journal, "does not run on this node, and the one before runs on")
}
