// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Key is the name of an assignment of sd_notify(3) that the agent makes.
type Key string

// The assignments that the agent makes, and the only ones.
const (
	Ready    Key = "READY"
	Stopping Key = "STOPPING"
	Watchdog Key = "WATCHDOG"
	Status   Key = "STATUS"
)

// Notify makes one assignment. A line break in a value would begin another assignment, such as
// MAINPID=, which systemd obeys: a value with any control character is refused.
func Notify(key Key, value string) error {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("notifying systemd of %s: %q contains a control character", key, value)
	}
	if _, err := daemon.SdNotify(false, string(key)+"="+value); err != nil {
		return fmt.Errorf("notifying systemd of %s: %w", key, err)
	}
	return nil
}
