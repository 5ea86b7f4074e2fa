// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

// socket is systemd's own, which works without a message bus.
const socket = "/run/systemd/private"

func TestWithoutSystemdEveryCallSaysSo(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(socket); err == nil {
		t.Skip("systemd runs here; the tests on nodes restart real services")
	}
	_, err := systemd.Manager{}.Unit(t.Context(), "crio.service")
	require.ErrorContains(t, err, "connecting to systemd: ")
	require.ErrorContains(t, systemd.Manager{}.Restart(t.Context(), "crio.service"), "connecting to systemd: ")
}

func TestAServiceThatWasNeverStartedIsNotActive(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(socket); err != nil {
		t.Skip("systemd does not run here; the tests on nodes read real services")
	}
	u, err := systemd.Manager{}.Unit(t.Context(), "no-such-unit.service")
	require.NoError(t, err)
	assert.False(t, u.Active())
	assert.Empty(t, u.Invocation)
	assert.Zero(t, u.MainPID)
}
