// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"time"
)

// ModulesFile names the kernel modules that the agent had to load, so that each boot loads them
// again; see modules-load.d(5).
const ModulesFile = "/etc/modules-load.d/kata-node-agent.conf"

// ModulesUnit is the service that loads what such files name.
const ModulesUnit = "systemd-modules-load.service"

// Machine looks at the hardware, and at what of the system Kata depends on.
type Machine interface {
	// Examine returns within some seconds, and changes nothing. What it cannot find out is left
	// empty, or says so.
	Examine(ctx context.Context) MachineFacts
}

// MachineFacts are what an examination has found.
type MachineFacts struct {
	// Architecture is a Go architecture name.
	Architecture string
	KVM          KVM
	// Virtual is whether the processor says that it is a virtual one. Extensions are those of its
	// flags that stand for virtualization: vmx, svm, sie.
	Virtual    bool
	Extensions []string
	// Nested is the parameter nested of the processor's KVM module, empty where there is none.
	Nested string
	// Devices are the device files below /dev that are there, of those that a virtual machine
	// needs. Modules are the kernel modules that provide them.
	Devices map[string]bool
	Modules map[string]Module
	// QEMU and Virtiofsd are the host's own.
	QEMU, Virtiofsd Program
	// CgroupVersion is 2 where the unified hierarchy is the only one, 1 where it is not, 0 while
	// that is not known.
	CgroupVersion int
	// StoreFree is what the file system of the image store has left, MemoryTotal and
	// MemoryAvailable what the host has, in bytes; 0 while that is not known.
	StoreFree, MemoryTotal, MemoryAvailable uint64
	SELinux                                 SELinux
	// PrivateStorage is where a storage for containers is a private mount as PID 1 sees it.
	PrivateStorage string
	Clock          Clock
}

// KVM is what came of running a virtual machine.
type KVM struct {
	// Device is whether /dev/kvm is there.
	Device bool
	// Problem is the operation that failed and what the kernel answered, empty where none did.
	Problem string
	// Ran is whether the virtual processor ran instructions. On architectures other than amd64 it
	// is only created.
	Ran bool
}

// Module is a kernel module.
type Module struct {
	// Loaded is whether it is, or is a part of the kernel. Installed is whether the running kernel
	// has it on disk.
	Loaded, Installed bool
}

// Program is one of the host's programs.
type Program struct {
	// Path is empty where there is none.
	Path string
	// Version is as it prints it, such as 9.1.0; Problem is why that is not known.
	Version, Problem string
}

// SELinux is the state of the host's SELinux.
type SELinux struct {
	// Mode is enforcing, permissive or disabled.
	Mode string
	// Unknown is the context of payloads, where the loaded policy does not know it.
	Unknown string
}

// Clock is what the host's clock shows.
type Clock struct {
	Now time.Time
	// Known is whether the kernel reports if the clock is synchronised.
	Known, Synchronised bool
}

// DeviceModule is a device file that a virtual machine needs, and the module that provides it.
type DeviceModule struct{ Device, Module string }

// DeviceModules are those of Kata with QEMU. KVM itself is tried; its module depends on the
// processor, and systemd-udevd loads it.
func DeviceModules() []DeviceModule {
	return []DeviceModule{
		{"/dev/vhost-vsock", "vhost_vsock"},
		{"/dev/vhost-net", "vhost_net"},
		{"/dev/net/tun", "tun"},
	}
}
