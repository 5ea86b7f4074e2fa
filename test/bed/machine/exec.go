// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Exec runs a command in the machine as root and returns its stdout. The error holds the command's
// stderr and wraps [exec.ExitError].
func (m *Machine) Exec(ctx context.Context, args ...string) ([]byte, error) {
	command, err := m.Command(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("running %q on %q: %w", strings.Join(args, " "), m.name, err)
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.Output()
	if err != nil {
		return stdout, fmt.Errorf("running %q on %q: %w: %s", strings.Join(args, " "), m.name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout, nil
}

// Command prepares a command in the machine, for callers that read its output while it runs. It is
// not in the cgroup of a unit of its own; what shall live on belongs into systemd-run.
func (m *Machine) Command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	b, err := m.running()
	if err != nil {
		return nil, err
	}
	if err := b.await(ctx); err != nil {
		return nil, err
	}
	return m.kind.command(ctx, b, args), nil
}

// Shell is a command line for a person, which opens a shell in the machine that is on.
func (m *Machine) Shell() (string, error) {
	b, err := m.running()
	if err != nil {
		return "", err
	}
	return m.kind.shell(b), nil
}

// environment of a command in a machine.
func environment() []string {
	return []string{"PATH=" + path, "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_PAGER=cat"}
}

// BootID is the machine's own boot id, another one after every boot.
func (m *Machine) BootID(ctx context.Context) (string, error) {
	id, err := m.Exec(ctx, "cat", "/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

// AwaitRunning waits until systemd has no job left and returns its state, "running" or "degraded".
// It waits as long as any unit is still starting.
func (m *Machine) AwaitRunning(ctx context.Context) (string, error) {
	state, err := m.Exec(ctx, "systemctl", "is-system-running", "--wait")
	if s := strings.TrimSpace(string(state)); s == "degraded" || s == "running" {
		return s, nil
	}
	return strings.TrimSpace(string(state)), err
}

// Unit returns properties of a unit as `systemctl show` names them: ActiveState, MainPID,
// InvocationID, NRestarts, StatusText and all others.
func (m *Machine) Unit(ctx context.Context, unit string) (map[string]string, error) {
	shown, err := m.Exec(ctx, "systemctl", "show", unit)
	if err != nil {
		return nil, err
	}
	properties := map[string]string{}
	for line := range strings.Lines(string(shown)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		properties[key] = value
	}
	return properties, nil
}

// Journal returns what a unit logged over all boots, or the whole journal for an empty unit. It
// works on a machine that is off, too.
func (m *Machine) Journal(ctx context.Context, unit string) (string, error) {
	args := []string{"journalctl", "--no-pager", "--quiet", "--output=short-precise"}
	if unit != "" {
		args = append(args, "--unit="+unit)
	}
	if _, err := m.running(); err == nil {
		out, err := m.Exec(ctx, args...)
		return string(out), err
	}
	args = append(args[1:], "--directory="+m.root+"/var/log/journal")
	out, err := exec.CommandContext(ctx, "journalctl", args...).Output()
	if err != nil {
		return "", fmt.Errorf("reading journal of %q: %w", m.name, err)
	}
	return string(out), nil
}

// Mounts is the mount table of the machine's PID 1.
func (m *Machine) Mounts(ctx context.Context) ([]*mountinfo.Info, error) {
	table, err := m.ReadFile(ctx, "/proc/1/mountinfo")
	if err != nil {
		return nil, err
	}
	return mountinfo.GetMountsFromReader(bytes.NewReader(table), nil)
}
