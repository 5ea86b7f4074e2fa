// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// restartScheduled is the id of the message that systemd writes when it starts a service again by
// itself (SD_MESSAGE_UNIT_RESTART_SCHEDULED in sd-messages.h).
const restartScheduled = "5eb03494b6584870a536b337290809b3"

// lastWord matches how a program in Go says that it ends: by a panic, by an error of Go's runtime,
// or, with logrus, by an entry of level fatal. What follows a panic is the state of its goroutines,
// thousands of lines with GOTRACEBACK=crash.
const lastWord = `^(panic: |fatal error: )|level="?fatal`

// Restarts counts how often systemd has started a service again by itself within a time span.
func (Manager) Restarts(ctx context.Context, name string, within time.Duration) (int, error) {
	said, err := journal(ctx, name, maxJournal, "--lines="+maxSearched, since(within), "--output-fields=UNIT", "MESSAGE_ID="+restartScheduled, "UNIT="+name)
	return bytes.Count(said, []byte("\n")), err
}

// Fatal returns the last line within a time span by which the program of a service says that it
// ends.
func (Manager) Fatal(ctx context.Context, name string, within time.Duration) (string, error) {
	said, err := journal(ctx, name, maxProblem, "--lines=1", since(within), "--grep="+lastWord, "--case-sensitive=yes", "--output-fields=MESSAGE", "_SYSTEMD_UNIT="+name)
	if _, failed := errors.AsType[*exec.ExitError](err); failed && len(said) == 0 {
		return "", nil // Nothing matches.
	}
	return strings.Join(messages(said), " "), err
}

// since is the option of journalctl for a time span up to now.
func since(span time.Duration) string {
	return fmt.Sprintf("--since=-%ds", int(span.Seconds())+1)
}
