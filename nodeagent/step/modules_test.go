// SPDX-License-Identifier: Apache-2.0

package step_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// lacking is a machine on the way to payload two, before it loads modules.
func lacking(t *testing.T) (*bench, plan.Step, plan.Facts) {
	t.Helper()
	b := newBench(t)
	b.want(t, installing(two()))
	s, f := b.until(t, plan.LoadModules)
	return b, s, f
}

func TestModulesAreLoadedNowAndAtEachBoot(t *testing.T) {
	t.Parallel()
	b, s, f := lacking(t)
	require.NoError(t, b.runner().Run(t.Context(), s, f))
	content, err := b.Files.Read(host.ModulesFile)
	require.NoError(t, err)
	assert.Equal(t, "# Written by kata-node-agent, and deleted when Kata is removed from this node.\nvhost_vsock\nvhost_net\ntun\n", string(content))
	assert.True(t, b.Facts.Devices["/dev/vhost-vsock"])
	assert.Equal(t, 1, b.Starts, "CRI-O has nothing to do with it")
}

func TestAModuleThatDoesNotLoadIsNamed(t *testing.T) {
	t.Parallel()
	b, s, f := lacking(t)
	b.Unloadable = []string{"vhost_vsock"}
	require.ErrorContains(t, b.runner().Run(t.Context(), s, f), "loading kernel modules vhost_vsock: see journalctl -u systemd-modules-load.service")
}

// The service fails for any module that is not there, also for one of another file.
func TestOnlyModulesOfOursCount(t *testing.T) {
	t.Parallel()
	b, s, f := lacking(t)
	b.ModulesError = errors.New("restarting systemd-modules-load.service: job failed, service failed")
	require.NoError(t, b.runner().Run(t.Context(), s, f))
	b.Lack("/dev/vhost-vsock")
	b.Unloadable = []string{"vhost_vsock"}
	err := b.runner().Run(t.Context(), s, f)
	require.ErrorContains(t, err, "loading kernel modules vhost_vsock")
	require.ErrorIs(t, err, b.ModulesError)
}
