// SPDX-License-Identifier: Apache-2.0

// Package systemd reads and restarts units over systemd's private socket, which works without a
// message bus. It believes unit properties, never a job's word alone: a job may end as done while
// the service has already died.
package systemd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Manager is the host's systemd.
type Manager struct{}

// Dependents returns the active services that a stop of the named one stops, see "Requires=",
// "BindsTo=" and "PartOf=" in systemd.unit(5).
func (m Manager) Dependents(ctx context.Context, name string) ([]string, error) {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	all, err := conn.GetAllPropertiesContext(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("reading what depends on %s: %w", name, err)
	}
	var running []string
	for _, kind := range []string{"RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"} {
		others, _ := all[kind].([]string) //nolint:errcheck // empty where systemd has none of that kind
		for _, other := range others {
			if !strings.HasSuffix(other, ".service") || slices.Contains(running, other) {
				continue
			}
			u, err := m.Unit(ctx, other)
			if err != nil {
				return nil, err
			}
			if u.Active() {
				running = append(running, other)
			}
		}
	}
	return running, nil
}

// Start starts a service and waits for the job's end.
func (Manager) Start(ctx context.Context, name string) error {
	return act(ctx, "starting", name, (*dbus.Conn).StartUnitContext)
}

// Restart restarts a service and waits for the job's end.
func (Manager) Restart(ctx context.Context, name string) error {
	return act(ctx, "restarting", name, (*dbus.Conn).RestartUnitContext)
}

// act queues one job, and waits for it and for the service.
func act(ctx context.Context, verb, name string, queue func(*dbus.Conn, context.Context, string, string, chan<- string) (int, error)) error {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close()
	// The channel is buffered: an unread result blocks the whole connection.
	done := make(chan string, 1)
	if _, err := queue(conn, ctx, name, "replace", done); err != nil {
		return fmt.Errorf("%s %s: %w", verb, name, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s %s: %w", verb, name, context.Cause(ctx))
	case result := <-done:
		return outcome(ctx, verb, name, result)
	}
}

func outcome(ctx context.Context, verb, name, result string) error {
	u, err := Manager{}.Unit(ctx, name)
	if err != nil {
		return err
	}
	if result != "done" || !u.Active() {
		return fmt.Errorf("%s %s: job %s, service %s: see journalctl -u %s", verb, name, result, u.ActiveState, name)
	}
	return nil
}
