// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// hardware is the machine as it is examined.
type hardware struct{ m *Machine }

func (h hardware) Examine(context.Context) host.MachineFacts { return h.m.Facts }

// Fit returns the facts of a machine on which every payload can run.
func Fit() host.MachineFacts {
	f := host.MachineFacts{
		Architecture: "amd64", KVM: host.KVM{Device: true, Ran: true}, Extensions: []string{"vmx"}, Nested: "Y",
		Devices: map[string]bool{}, Modules: map[string]host.Module{},
		QEMU: host.Program{Path: "/usr/libexec/qemu-kvm", Version: "9.1.0"}, Virtiofsd: host.Program{Path: "/usr/libexec/virtiofsd", Version: "1.13.0"},
		CgroupVersion: 2, StoreFree: 20 << 30, MemoryTotal: 16 << 30, MemoryAvailable: 8 << 30,
		SELinux: host.SELinux{Mode: "enforcing"},
		Clock:   host.Clock{Now: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC), Known: true, Synchronised: true},
	}
	for _, d := range host.DeviceModules() {
		f.Devices[d.Device], f.Modules[d.Module] = true, host.Module{Loaded: true, Installed: true}
	}
	return f
}

// Lack takes a device away, whose module is on disk and not loaded.
func (m *Machine) Lack(device string) {
	for _, d := range host.DeviceModules() {
		if d.Device == device {
			m.Facts.Devices[d.Device], m.Facts.Modules[d.Module] = false, host.Module{Installed: true}
		}
	}
}

// loadModules is a start of the service that loads what the agent's file names, and what Modules
// does not refuse.
func (m *Machine) loadModules() {
	content, err := m.Files.Read(host.ModulesFile)
	if err != nil {
		return
	}
	named := strings.Fields(string(content))
	for _, d := range host.DeviceModules() {
		if slices.Contains(named, d.Module) && !slices.Contains(m.Unloadable, d.Module) {
			m.Facts.Devices[d.Device], m.Facts.Modules[d.Module] = true, host.Module{Loaded: true, Installed: true}
		}
	}
}
