// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/test/bed/agentrpm"
	"github.com/kata-node/kata-node/test/bed/machine"
)

// quick is a CRI-O that starts at once: it is the order of things that these tests look at.
const quick = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"

// patience is how long any one thing may take on a machine that is busy with other things.
const patience = 4 * time.Minute

// node is a machine, off, that CRI-O is enabled on.
func node(t *testing.T, name string) *machine.Machine {
	t.Helper()
	if reasons := machine.Missing(); len(reasons) > 0 {
		t.Skip("needs a node with systemd: " + strings.Join(reasons, "; "))
	}
	cache, err := filepath.Abs("../../../.cache/bed")
	require.NoError(t, err)
	base, err := machine.Base(t.Context(), cache, t.Output())
	require.NoError(t, err)
	home, err := machine.Home(filepath.Join(cache, "machines"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, machine.RemoveHome(home)) })
	m, err := machine.New(t.Context(), home, name, machine.Disk{Layers: []string{base}, Real: []string{"/var/lib/kata-containers"}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Remove(context.WithoutCancel(t.Context()))) })
	require.NoError(t, m.WriteFile("/etc/systemd/system/crio.service", []byte(quick), 0o644))
	output(t, "systemctl", "--root="+m.Root(), "enable", "crio.service")
	return m
}

func show(t *testing.T, m *machine.Machine, unit string) map[string]string {
	t.Helper()
	properties, err := m.Unit(t.Context(), unit)
	require.NoError(t, err)
	return properties
}

// micros is a monotonic time of a unit.
func micros(t *testing.T, unit map[string]string, name string) time.Duration {
	t.Helper()
	value, err := strconv.ParseInt(unit[name], 10, 64)
	require.NoError(t, err, name)
	require.Positive(t, value, name)
	return time.Duration(value) * time.Microsecond
}

func TestTheInstalledAgentIsUpBeforeCRIOAndSeesWhatPID1Sees(t *testing.T) {
	t.Parallel()
	m := node(t, "installed")
	need(t, "make", "rpmbuild", "rpm2cpio", "cpio")
	require.NoError(t, agentrpm.Install(t.Context(), "", m.Root()))
	require.NoError(t, m.WriteFile("/etc/mco/proxy.env", []byte(proxies), 0o644))
	require.NoError(t, m.Boot(t.Context()))
	_, err := m.AwaitRunning(t.Context())
	require.NoError(t, err)

	agent, crio := show(t, m, "kata-node-agent.service"), show(t, m, "crio.service")
	journal, err := m.Journal(t.Context(), "kata-node-agent.service")
	require.NoError(t, err)
	require.Equal(t, "active", agent["ActiveState"], "%s", journal)
	assert.Equal(t, "0", agent["NRestarts"], "%s", journal)
	assert.Less(t, micros(t, agent, "ActiveEnterTimestampMonotonic"), micros(t, crio, "ExecMainStartTimestampMonotonic"))

	namespaces, err := m.Exec(t.Context(), "readlink", "/proc/1/ns/mnt", "/proc/"+agent["MainPID"]+"/ns/mnt")
	require.NoError(t, err)
	of := strings.Fields(string(namespaces))
	assert.Equal(t, of[0], of[1], "what the agent mounts, CRI-O has to see")

	environment, err := m.Exec(t.Context(), "sh", "-c", `tr '\0' '\n' <"/proc/$1/environ"`, "sh", agent["MainPID"])
	require.NoError(t, err)
	for line := range strings.Lines(proxies) {
		assert.Contains(t, string(environment), line)
	}
}

// proxies is what the machine-config operator writes for the services of a cluster with a proxy.
const proxies = "HTTP_PROXY=http://proxy.example:3128\nHTTPS_PROXY=http://proxy.example:3128\nNO_PROXY=.cluster.local,.svc,10.0.0.0/16\n"

func TestTheShimOfPendingSaysWhyInOneSentence(t *testing.T) {
	t.Parallel()
	m := node(t, "pending")
	need(t, "make", "rpmbuild", "rpm2cpio", "cpio")
	require.NoError(t, agentrpm.Install(t.Context(), "", m.Root()))
	require.NoError(t, os.Remove(filepath.Join(m.Root(), "etc/systemd/system/multi-user.target.wants/kata-node-agent.service")))
	require.NoError(t, m.Boot(t.Context()))
	for _, link := range []string{"current/kata-oc", "proof/kata-oc-proof", "current/kata-oc-rs", "proof/kata-oc-rs-proof", "current/kata-oc-debug", "proof/kata-oc-debug-proof"} {
		shim, err := m.Command(t.Context(), "/run/kata-agent/"+link+"/containerd-shim-kata-v2", "-namespace", "k8s.io", "start")
		require.NoError(t, err)
		out, err := shim.CombinedOutput()
		require.Error(t, err, "nothing starts from pending")
		assert.Equal(t, 1, strings.Count(strings.TrimSpace(string(out)), "\n")+1, "%s", out)
		assert.NotEmpty(t, strings.TrimSpace(string(out)))
	}
}

func TestAnAgentThatNeverGetsReadyHoldsCRIOUpForFifteenSecondsAtMost(t *testing.T) {
	t.Parallel()
	m := node(t, "mute")
	need(t, "make", "rpmbuild", "rpm2cpio", "cpio")
	mute := filepath.Join(t.TempDir(), "agent")
	require.NoError(t, os.WriteFile(mute, []byte("#!/bin/sh\ntrap '' TERM ABRT\nwhile :; do sleep 1; done\n"), 0o755))
	require.NoError(t, agentrpm.Install(t.Context(), mute, m.Root()))
	require.NoError(t, m.Boot(t.Context()))

	var crio map[string]string
	require.Eventually(t, func() bool {
		crio = show(t, m, "crio.service")
		return crio["ActiveState"] == "active"
	}, patience, 200*time.Millisecond)
	waited := micros(t, crio, "ActiveEnterTimestampMonotonic") - micros(t, show(t, m, "basic.target"), "ActiveEnterTimestampMonotonic")
	assert.Greater(t, waited, 10*time.Second, "CRI-O does wait for the agent")
	// How much later CRI-O is up depends on the machine; whose limit ended the wait does not.
	agent := show(t, m, "kata-node-agent.service")
	assert.Equal(t, "15s", agent["JobRunningTimeoutUSec"], "not the limit of a start")
	assert.Equal(t, "activating", agent["ActiveState"], "an agent that is only slow gets ready later")
	assert.Equal(t, "0", agent["NRestarts"])
	assert.NotEqual(t, "0", agent["MainPID"])
}
