// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	bus "github.com/godbus/dbus/v5"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Where systemd is on a bus: its own one is a socket, on which nothing else answers.
const (
	private  = "unix:path=/run/systemd/private"
	manager  = "org.freedesktop.systemd1"
	unitPath = "/org/freedesktop/systemd1/unit/"
	getter   = "org.freedesktop.DBus.Properties.Get"
)

// properties are those of a unit that count, by interface. The rest of a service's some 250 cost
// systemd ten times as much: for some of them it reads the control group.
func properties() map[string][]string {
	return map[string][]string{
		manager + ".Unit":    {"ActiveState", "ActiveEnterTimestamp"},
		manager + ".Service": {"StatusText", "KillMode", "MainPID", "NRestarts", "Result"},
	}
}

const invocation = "InvocationID"

// maxAsks is how often a unit is asked for that starts anew in the meantime.
const maxAsks = 3

// Unit returns a service's state.
func (Manager) Unit(ctx context.Context, name string) (u host.Unit, err error) {
	conn, err := bus.Dial(private, bus.WithContext(ctx))
	if err != nil {
		return u, fmt.Errorf("connecting to systemd: %w", err)
	}
	defer conn.Close() //nolint:errcheck // the answer is what counts
	// The number of the user needs no look into the list of users.
	if err := conn.Auth([]bus.Auth{bus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		return u, fmt.Errorf("connecting to systemd: %w", err)
	}
	object := conn.Object(manager, bus.ObjectPath(unitPath+dbus.PathBusEscape(name)))
	for range maxAsks {
		values, same, err := ask(ctx, object)
		if err != nil {
			return u, fmt.Errorf("reading the state of %s: %w", name, err)
		}
		if u = unitOf(values); same {
			break
		}
	}
	return u, nil
}

// ask asks for all properties at once, and first and last for the invocation: where that is the
// same, all others are from between, and of one start of the unit.
func ask(ctx context.Context, object bus.BusObject) (values map[string]any, same bool, err error) {
	first := object.GoWithContext(ctx, getter, 0, nil, manager+".Unit", invocation)
	calls := map[string]*bus.Call{}
	for in, names := range properties() {
		for _, name := range names {
			calls[name] = object.GoWithContext(ctx, getter, 0, nil, in, name)
		}
	}
	calls[invocation] = object.GoWithContext(ctx, getter, 0, nil, manager+".Unit", invocation)
	values = map[string]any{}
	for name, call := range calls {
		if values[name], err = answer(ctx, call); err != nil {
			return nil, false, err
		}
	}
	before, err := answer(ctx, first)
	return values, slices.Equal(octets(before), octets(values[invocation])), err
}

// unknown are the answers for a property that a unit of this kind, or this systemd, does not have.
func unknown() []string {
	return []string{"org.freedesktop.DBus.Error.UnknownProperty", "org.freedesktop.DBus.Error.UnknownInterface"}
}

// answer waits for a property, which is nil where the unit has none of that name.
func answer(ctx context.Context, call *bus.Call) (value any, err error) {
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-call.Done:
	}
	var v bus.Variant
	err = call.Store(&v)
	if refused, ok := errors.AsType[bus.Error](err); ok && slices.Contains(unknown(), refused.Name) {
		return nil, nil //nolint:nilnil // that it has none is no error
	}
	return v.Value(), err
}

func octets(value any) []byte {
	all, _ := value.([]byte) //nolint:errcheck // nil where the unit has none
	return all
}

func unitOf(all map[string]any) host.Unit {
	u := host.Unit{
		ActiveState: text(all["ActiveState"]), Status: text(all["StatusText"]), KillMode: text(all["KillMode"]),
		Invocation: hex.EncodeToString(octets(all[invocation])),
	}
	if pid, ok := all["MainPID"].(uint32); ok {
		u.MainPID = int(pid)
	}
	if restarts, ok := all["NRestarts"].(uint32); ok {
		u.Restarts = int(restarts)
	}
	// Where a start fails before the limit is met, the result stays that of the start.
	u.GivenUp = u.ActiveState == "failed" && (u.Restarts > 0 || text(all["Result"]) == "start-limit-hit")
	if since, ok := all["ActiveEnterTimestamp"].(uint64); ok && since > 0 {
		u.Since = time.UnixMicro(int64(since)) //nolint:gosec // microseconds since 1970
	}
	return u
}

// text returns a property's value, empty where systemd has none of that kind.
func text(property any) string {
	value, ok := property.(string)
	if !ok {
		return ""
	}
	return value
}
