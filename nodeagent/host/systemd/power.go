// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"errors"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
	bus "github.com/godbus/dbus/v5"
)

// Where logind is on the bus.
const (
	logind       = "org.freedesktop.login1"
	logindPath   = "/org/freedesktop/login1"
	logindReboot = logind + ".Manager.Reboot"
	notActivated = "org.freedesktop.DBus.Error.ServiceUnknown"
)

// Reboot asks logind, as systemctl does: it informs those that delay a shutdown, such as a kubelet
// that ends its pods in good order. A host without logind is rebooted by systemd itself.
func (Manager) Reboot(ctx context.Context) error {
	conn, err := bus.ConnectSystemBus(bus.WithContext(ctx))
	if err != nil {
		return rebootUnit(ctx)
	}
	defer conn.Close() //nolint:errcheck // the answer is what counts
	err = conn.Object(logind, logindPath).CallWithContext(ctx, logindReboot, 0, false).Err
	if refused, ok := errors.AsType[bus.Error](err); ok && refused.Name == notActivated {
		return rebootUnit(ctx)
	}
	if err != nil {
		return fmt.Errorf("asking logind for a reboot, see systemd-inhibit --list: %w", err)
	}
	return nil
}

// rebootUnit returns once the job is queued: nothing comes after it.
func rebootUnit(ctx context.Context) error {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	if _, err := conn.StartUnitContext(ctx, "reboot.target", "replace-irreversibly", nil); err != nil {
		return fmt.Errorf("starting reboot.target: %w", err)
	}
	return nil
}
