// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/check"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// checked are the items of a host that is fit but for one thing.
func checked(change func(m *host.MachineFacts)) []check.Item {
	m := hosttest.Fit()
	change(&m)
	return check.Items(check.Facts{Machine: m})
}

func withoutKVM() []check.Item { return checked(func(m *host.MachineFacts) { m.KVM = host.KVM{} }) }

func TestAPayloadThatTheHostCannotRunIsMountedAndNoMore(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Host.Check, w.virtual = withoutKVM(), true
	assert.Empty(t, w.facts.Unfit(), "what it needs is not known yet")
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep, plan.Pull, plan.Mount, plan.Verify}, done, "nothing outside the agent's own directories is changed")
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	assert.Nil(t, last.Problem)
	assert.Contains(t, w.facts.Unfit(), "the host has no /dev/kvm")

	w.facts.Host.Check = nil
	_, last = w.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "it is fit as soon as the check passes")
	assert.Empty(t, w.facts.Unfit())
}

func TestAPayloadWithoutVirtualMachinesNeedsNoKVM(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Host.Check, w.facts.Host.Modules = withoutKVM(), []string{"vhost_vsock"}
	done, last := w.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.NotContains(t, done, plan.LoadModules)
	assert.Empty(t, w.facts.Unfit())
}

func TestAHostThatBecomesUnfitContinuesToServe(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.virtual = true
	_, last := w.settle(t)
	require.Equal(t, node.PhaseInstalled, last.Phase)

	w.facts.Host.Check = withoutKVM()
	done, last := w.settle(t)
	assert.Empty(t, done)
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	_, serving := w.facts.Serving()
	assert.True(t, serving)
	assert.NotEmpty(t, w.facts.Unfit())

	w.reboot()
	w.startCRIO("c2")
	_, last = w.settle(t)
	assert.Equal(t, node.PhaseInstalling, last.Phase)
	assert.NotEqual(t, plan.Pending, w.facts.Slots.Current, "pods that are bound here start again, as far as they can")
}

func TestMissingModulesAreLoadedBeforeCRIOHearsOfAPayload(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	w.facts.Host.Modules, w.virtual = []string{"vhost_vsock"}, true
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.LoadModules, plan.WriteDropIn}, done[5:7])
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}
