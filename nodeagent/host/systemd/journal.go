// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// journalLimit is for a journal on a slow disk.
const journalLimit = 10 * time.Second

// journal returns entries in JSON, one per line: of the last ones, as many bytes as are asked for.
// Arguments are options and matches of journalctl(1). name is for the error.
func journal(ctx context.Context, name string, bytes int, arguments ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, journalLimit)
	defer cancel()
	read := &tail{most: bytes}
	c := exec.CommandContext(ctx, "journalctl", append([]string{"--no-pager", "--quiet", "--output=json"}, arguments...)...) //nolint:gosec // names of units
	c.Stdout = read
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("reading the journal of %s: %w", name, err)
	}
	return read.text, nil
}
