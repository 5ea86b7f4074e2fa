// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

func TestTheManagerConforms(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(socket); err != nil || os.Geteuid() != 0 {
		t.Skip("a service of its own needs systemd and root")
	}
	const unit, dependent = "kata-node-agent-conformance.service", "kata-node-agent-dependent.service"
	run(t, "systemd-run", "--unit="+unit, "sh", "-c", "echo 'level=info msg=hello'; exec sleep infinity")
	t.Cleanup(func() { assert.NoError(t, exec.CommandContext(context.Background(), "systemctl", "stop", unit).Run()) })
	run(t, "systemd-run", "--unit="+dependent, "--property=Requires="+unit, "--property=After="+unit, "sleep", "infinity")
	hosttest.ConformServices(t, systemd.Manager{}, unit, dependent, "level=info msg=hello")
}

// A service that never says that it is ready keeps the job of its start for ever.
func TestAJobThatNeverEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(socket); err != nil || os.Geteuid() != 0 {
		t.Skip("a service of its own needs systemd and root")
	}
	const unit = "kata-node-agent-mute.service"
	run(t, "systemd-run", "--no-block", "--property=Type=notify", "--property=TimeoutStartSec=infinity", "--unit="+unit, "sleep", "infinity")
	t.Cleanup(func() { assert.NoError(t, exec.CommandContext(context.Background(), "systemctl", "stop", unit).Run()) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err := systemd.Manager{}.Restart(ctx, unit)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "restarting "+unit)
	u, err := systemd.Manager{}.Unit(t.Context(), unit)
	require.NoError(t, err)
	assert.False(t, u.Active(), "its state counts, whatever came of the job")
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
