// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"errors"
	"slices"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/seam"
)

// power is the machine's own.
type power struct{ m *Machine }

// Reboot is accepted, and nothing else happens before the test boots the machine.
func (p power) Reboot(context.Context) error {
	if p.m.RebootError != nil {
		return p.m.RebootError
	}
	p.m.GoingDown = true
	return nil
}

// Boot starts the machine anew: what is below /run, every mount and every sandbox is lost.
func (m *Machine) Boot() error {
	m.Mounts = nil
	if err := m.Files.Remove(host.RunDir); err != nil {
		return err
	}
	return m.startSystem()
}

// SoftBoot is [Machine.Boot] by the same kernel. What is below /run stays, and so do mounts that
// are busy: systemd ends the last processes only after it has unmounted what it could.
func (m *Machine) SoftBoot() error {
	for _, point := range slices.Backward(slices.Clone(m.Mounts)) {
		err := kernel{m}.Unmount(point)
		if _, busy := errors.AsType[*host.Busy](err); err != nil && !busy {
			return err
		}
	}
	return m.startSystem()
}

// startSystem ends all processes and starts those of a boot.
func (m *Machine) startSystem() error {
	m.GoingDown = false
	m.Sandboxes, m.Unlisted, m.Busy, m.Processes, m.Holding = nil, nil, map[string]bool{}, nil, nil
	if err := m.tmpfiles(); err != nil {
		return err
	}
	m.startCRIO()
	return nil
}

// Change passes a change of something outside the host through the machine's gate.
func (m *Machine) Change(what string, do func() error) error {
	return m.change(seam.Op{Kind: seam.Kind(what)}, do)
}
