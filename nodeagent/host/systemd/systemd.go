// SPDX-License-Identifier: Apache-2.0

// Package systemd reads and restarts units over systemd's private socket, which works without a
// message bus. It believes unit properties, never a job's word alone: a job may end as done while
// the service has already died.
package systemd

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Manager is the host's systemd.
type Manager struct{}

// Unit returns a service's state.
func (Manager) Unit(ctx context.Context, name string) (host.Unit, error) {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return host.Unit{}, fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	return unit(ctx, conn, name)
}

func unit(ctx context.Context, conn *dbus.Conn, name string) (host.Unit, error) {
	all, err := conn.GetAllPropertiesContext(ctx, name)
	if err != nil {
		return host.Unit{}, fmt.Errorf("reading the state of %s: %w", name, err)
	}
	u := host.Unit{ActiveState: text(all["ActiveState"]), Status: text(all["StatusText"])}
	if id, ok := all["InvocationID"].([]byte); ok {
		u.Invocation = hex.EncodeToString(id)
	}
	if pid, ok := all["MainPID"].(uint32); ok {
		u.MainPID = int(pid)
	}
	return u, nil
}

// text returns a property's value, empty where systemd has none of that kind.
func text(property any) string {
	value, ok := property.(string)
	if !ok {
		return ""
	}
	return value
}

// Restart restarts a service and waits for the job's end.
func (Manager) Restart(ctx context.Context, name string) error {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	// The channel is buffered: an unread result blocks the whole connection.
	done := make(chan string, 1)
	if _, err := conn.RestartUnitContext(ctx, name, "replace", done); err != nil {
		return fmt.Errorf("restarting %s: %w", name, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("restarting %s: %w", name, context.Cause(ctx))
	case result := <-done:
		return outcome(ctx, conn, name, result)
	}
}

func outcome(ctx context.Context, conn *dbus.Conn, name, result string) error {
	u, err := unit(ctx, conn, name)
	if err != nil {
		return err
	}
	if result != "done" || !u.Active() {
		return fmt.Errorf("restarting %s: job %s, service %s: see journalctl -u %s", name, result, u.ActiveState, name)
	}
	return nil
}
