// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
)

// feedWatchdog keeps systemd's watchdog quiet where the unit asks for one.
func feedWatchdog(ctx context.Context) {
	interval, err := sddaemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	ticker := time.NewTicker(interval / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_, _ = sddaemon.SdNotify(false, sddaemon.SdNotifyWatchdog) //nolint:errcheck // a missed one is systemd's to judge
		}
	}
}
