// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// poll is how often the state of a machine is asked for, and answerLimit how long its systemd has
// for an answer: one that starts anew never answers what its predecessor was asked.
const (
	poll        = 100 * time.Millisecond
	answerLimit = 5 * time.Second
)

// SoftReboot ends every process of a container but its first one, and starts the system again: the
// kernel, the boot's id and what is below /run stay. It returns when its systemd has reached
// basic.target again. The systemd of [Bookworm] knows no soft reboots.
func (m *Machine) SoftReboot(ctx context.Context) error {
	if err := m.softReboot(ctx); err != nil {
		return fmt.Errorf("soft-rebooting %q: %w", m.name, err)
	}
	return nil
}

func (m *Machine) softReboot(ctx context.Context) error {
	if err := m.keepMounts(ctx); err != nil {
		return err
	}
	before, err := m.startedAt(ctx)
	if err != nil {
		return err
	}
	// The command may be killed by what it asked for, so its end says nothing.
	_, refused := m.ask(ctx, "systemctl", "soft-reboot")
	err = wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		now, err := m.startedAt(ctx)
		if err != nil || now == before {
			return false, nil //nolint:nilerr // systemd answers nothing while it starts again.
		}
		_, err = m.ask(ctx, "systemctl", "is-active", "--quiet", "basic.target")
		return err == nil, nil
	})
	if err != nil {
		return errors.Join(err, refused)
	}
	return nil
}

// startedAt is when the machine's systemd began to start the system.
func (m *Machine) startedAt(ctx context.Context) (string, error) {
	at, err := m.ask(ctx, "systemctl", "show", "--value", "--property=UserspaceTimestampMonotonic")
	return strings.TrimSpace(string(at)), err
}

func (m *Machine) ask(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	return m.Exec(ctx, args...)
}

// keepMounts keeps systemd from unmounting what the host has mounted below the root: in the
// container no unit and no fstab would mount it again.
func (m *Machine) keepMounts(ctx context.Context) error {
	for _, point := range m.mounted {
		unit, err := m.Exec(ctx, "systemd-escape", "--path", "--suffix=mount", point)
		if err != nil {
			return err
		}
		dropIn := "/etc/systemd/system/" + strings.TrimSpace(string(unit)) + ".d/keep.conf"
		if err := m.WriteFile(dropIn, []byte("[Unit]\nDefaultDependencies=no\n"), 0o644); err != nil {
			return err
		}
	}
	_, err := m.Exec(ctx, "systemctl", "daemon-reload")
	return err
}
