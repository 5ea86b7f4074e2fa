// SPDX-License-Identifier: Apache-2.0

package machineconfig_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/ignition/machineconfig"
)

func policy(t *testing.T, name string) machineconfig.Disruption {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join(root, "ignition", name))
	require.NoError(t, err)
	d, err := machineconfig.DecodePolicy(manifest)
	require.NoError(t, err)
	return d
}

// shipped is every action that a change of what we ship causes, by file or unit.
func shipped(t *testing.T, d machineconfig.Disruption) map[string][]machineconfig.Action {
	t.Helper()
	actions := map[string][]machineconfig.Action{}
	for _, release := range machineconfig.OpenShift() {
		rendered, err := machineconfig.Render(root, options(release))
		require.NoError(t, err)
		files, units, err := machineconfig.Shipped(rendered)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		require.Equal(t, []string{"kata-agent-pull.service", "kata-node-agent.service"}, units)
		for _, f := range files {
			actions[f] = d.ForFile(f)
		}
		for _, u := range units {
			actions[u] = d.ForUnit(u)
		}
	}
	return actions
}

func TestNothingWeShipRebootsANode(t *testing.T) {
	t.Parallel()
	for _, name := range []string{machineconfig.Policy, machineconfig.RemovalPolicy} {
		for what, actions := range shipped(t, policy(t, name)) {
			assert.NotEmpty(t, actions, "%s: %s", name, what)
			for _, a := range actions {
				assert.NotContains(t, []string{"Reboot", "Drain"}, a.Type, "%s: %s", name, what)
			}
		}
	}
}

func TestActionsAreOnesTheOperatorAdmits(t *testing.T) {
	t.Parallel()
	for _, name := range []string{machineconfig.Policy, machineconfig.RemovalPolicy} {
		for what, actions := range shipped(t, policy(t, name)) {
			assert.LessOrEqual(t, len(actions), 10, what)
			for _, a := range actions {
				assert.Contains(t, []string{"None", "DaemonReload", "Restart"}, a.Type, what)
				assert.Equal(t, a.Type == "Restart", a.Restart.ServiceName != "", "%s: a service name belongs to Restart", what)
				assert.True(t, a.Type != "None" || len(actions) == 1, "%s: None stands alone", what)
			}
		}
	}
}

func TestRemovalRestartsNothing(t *testing.T) {
	t.Parallel()
	for what, actions := range shipped(t, policy(t, machineconfig.RemovalPolicy)) {
		for _, a := range actions {
			assert.NotEqual(t, "Restart", a.Type, "%s is gone when the action runs", what)
		}
	}
}

func TestBothPoliciesNameTheSameThings(t *testing.T) {
	t.Parallel()
	assert.Equal(t, names(policy(t, machineconfig.Policy)), names(policy(t, machineconfig.RemovalPolicy)))
}

func names(d machineconfig.Disruption) (all []string) {
	for _, f := range d.Files {
		all = append(all, f.Path)
	}
	for _, u := range d.Units {
		all = append(all, u.Name)
	}
	return all
}

func TestAPathTakesTheActionsOfTheClosestEntry(t *testing.T) {
	t.Parallel()
	d := policy(t, machineconfig.Policy)
	assert.Equal(t, "kata-node-agent.service", d.ForFile("/etc/kata-agent/10-site.toml")[0].Restart.ServiceName)
	assert.Equal(t, "kata-agent-pull.service", d.ForFile("/etc/kata-agent/pull-agent")[0].Restart.ServiceName)
	assert.Equal(t, "Reboot", d.ForFile("/etc/kata-agent.conf")[0].Type)
	assert.Equal(t, "Reboot", d.ForUnit("other.service")[0].Type)
}
