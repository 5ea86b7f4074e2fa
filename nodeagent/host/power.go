// SPDX-License-Identifier: Apache-2.0

package host

import "context"

// Power restarts the machine.
type Power interface {
	// Reboot asks for an orderly reboot, as systemctl reboot does, and returns once it has been
	// accepted: services are stopped after that, this one among them.
	Reboot(ctx context.Context) error
}
