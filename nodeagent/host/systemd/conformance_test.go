// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

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
	const unit = "kata-node-agent-conformance.service"
	require.NoError(t, exec.CommandContext(t.Context(), "systemd-run", "--unit="+unit, "sh", "-c", "echo 'level=info msg=hello'; exec sleep infinity").Run())
	t.Cleanup(func() { assert.NoError(t, exec.CommandContext(context.Background(), "systemctl", "stop", unit).Run()) })
	hosttest.ConformServices(t, systemd.Manager{}, unit, "level=info msg=hello")
}
