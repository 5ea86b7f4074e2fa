// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/nodeagent/host/systemd"
)

func TestTheTimeOfALineIsLeftOut(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "level=info msg=\"time=\"\nlevel=fatal msg=b\n", systemd.Untimed("time=\"2026-01-02T03:04:05Z\" level=info msg=\"time=\"\ntime=\"x\" level=fatal msg=b\n"))
}
