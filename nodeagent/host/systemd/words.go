// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"time"
)

const (
	// wordsLimit is for a journal on a slow disk.
	wordsLimit = 10 * time.Second
	// maxWords is how many lines are read: a program's last one mostly says why it ended.
	maxWords = "2"
)

// Words returns the last lines that the program of a service wrote to the journal in one
// invocation. What systemd says of the service is not among them.
func (Manager) Words(ctx context.Context, name, invocation string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, wordsLimit)
	defer cancel()
	said := &tail{}
	c := exec.CommandContext(ctx, "journalctl", "--no-pager", "--quiet", "--output=cat", "--lines="+maxWords, //nolint:gosec // names of units and of their invocations
		"_SYSTEMD_UNIT="+name, "_SYSTEMD_INVOCATION_ID="+invocation)
	c.Stdout = said
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("reading the journal of %s: %w", name, err)
	}
	return untimed(string(said.text)), nil
}

// timestamp is how logrus begins a line, which would make each start's words differ.
var timestamp = regexp.MustCompile(`(?m)^time="[^"]*" `)

func untimed(text string) string { return timestamp.ReplaceAllString(text, "") }
