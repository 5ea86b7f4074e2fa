// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// maxLog is how many bytes of a journal are returned, from its end.
const maxLog = 4 << 20

// Log returns the last lines of the journal that match one of journalctl's own filters, such as
// --unit=crio.service or --dmesg. With an error it returns what was read until then.
func (Manager) Log(ctx context.Context, lines int, filters ...string) ([]byte, error) {
	said := &tail{most: maxLog}
	c := exec.CommandContext(ctx, "journalctl", append([]string{ //nolint:gosec // names of units
		"--no-pager", "--quiet", "--output=short-iso-precise", fmt.Sprintf("--lines=%d", lines),
	}, filters...)...)
	c.Stdout = said
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		return said.text, fmt.Errorf("reading the journal: %w", err)
	}
	return said.text, nil
}
