// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func TestGuestsAndKernelsOnDiskAreFacts(t *testing.T) {
	t.Parallel()
	m := machine(t)
	m.Kernels = []string{"6.13", "6.12", "6.11"}
	put(t, m, map[string]string{host.GuestInitrd("a"): "", host.GuestDir("a") + "/" + host.GuestRecordFile: "", host.GuestInitrd("b"): "", host.GuestDir("stray"): "a file"})
	f := look(t, m, cluster.State{})
	assert.Equal(t, []string{"6.13", "6.11"}, f.Host.Kernels, "without the running one")
	assert.Equal(t, []plan.Guest{{Slot: "a", Whole: true}, {Slot: "b"}, {Slot: "stray"}}, f.Store.Guests)

	o := observer(m)
	o.Self.PayloadKernel = true
	own, err := o.Look(t.Context(), cluster.State{})
	require.NoError(t, err)
	assert.Empty(t, own.Host.Kernels, "a payload's kernel is not among them")
	assert.NotEqual(t, f.Host.Settings, own.Host.Settings, "and its slots are others")
}

// A mount keeps the label that it was made with, so another one needs another slot.
func TestSlotsWithAnotherLabelAreOthers(t *testing.T) {
	t.Parallel()
	o := observer(machine(t))
	usual, err := o.Look(t.Context(), cluster.State{})
	require.NoError(t, err)
	for _, setting := range []string{"selinux_context=", "selinux_context=system_u:object_r:bin_t:s0"} {
		o.Self.OwnContext = setting
		own, err := o.Look(t.Context(), cluster.State{})
		require.NoError(t, err)
		assert.NotEqual(t, usual.Host.Settings, own.Host.Settings, setting)
	}
}

// unlisted is a host whose kernels cannot be listed.
type unlisted struct{ host.Guests }

func (unlisted) Kernels() ([]string, error) { return nil, errors.New("input/output error") }

func TestKernelsThatCannotBeListedStopNothing(t *testing.T) {
	t.Parallel()
	o := observer(machine(t))
	o.Host.Guests = unlisted{}
	f, err := o.Look(t.Context(), cluster.State{})
	require.NoError(t, err)
	assert.Empty(t, f.Host.Kernels)
}
