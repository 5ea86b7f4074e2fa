// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// logLines of each unit are enough to see how a test went wrong.
const logLines = 60

// Logs writes the ends of all logs of the cluster, for a test that went wrong: the control plane's,
// those of programs on the host, and the named units' of every node.
func (c *Cluster) Logs(ctx context.Context, out io.Writer, units ...string) {
	if c.control != nil {
		section(out, "control plane", c.control.Log())
	}
	c.mu.Lock()
	procs := c.procs
	c.mu.Unlock()
	for _, proc := range procs {
		section(out, fmt.Sprintf("process %d", proc.PID()), proc.Log())
	}
	for _, node := range c.Nodes() {
		for _, unit := range units {
			journal, err := node.Journal(ctx, unit)
			if err != nil {
				journal = err.Error()
			}
			section(out, node.Name()+" "+unit, journal)
		}
	}
}

func section(out io.Writer, title, text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	fmt.Fprintf(out, "---- %s\n%s\n", title, strings.Join(lines[max(0, len(lines)-logLines):], "\n"))
}
