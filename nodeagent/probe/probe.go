// SPDX-License-Identifier: Apache-2.0

// Package probe describes a virtual machine that starts what a slot's sandboxes start from, and
// says from its console which part failed. It starts nothing itself.
package probe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/vmm"
)

// agentPort is where the guest's agent listens (vSockPort in Kata's shims).
const agentPort = 1024

// memory is that of the machine, in MiB: an initrd is unpacked in it, and the agent's unit may use
// 1024 in all.
const memory = "512"

// Machine is what is booted.
type Machine struct {
	QEMU, Kernel, Initrd string
	// Parameters are those of the kernel.
	Parameters string
	// Architecture is a Go architecture name.
	Architecture string
}

// From reads a handler's rendered configuration.
func From(configuration []byte, architecture string) (Machine, error) {
	var c struct {
		Hypervisor map[string]struct {
			Path       string `toml:"path"`
			Kernel     string `toml:"kernel"`
			Initrd     string `toml:"initrd"`
			Image      string `toml:"image"`
			Parameters string `toml:"kernel_params"`
		} `toml:"hypervisor"`
	}
	if err := toml.Unmarshal(configuration, &c); err != nil {
		return Machine{}, fmt.Errorf("reading the rendered configuration: %w", err)
	}
	q, here := c.Hypervisor["qemu"]
	switch {
	case !here || q.Path == "" || q.Kernel == "":
		return Machine{}, errors.New("the configuration names no QEMU with a kernel: a probe starts no other machine")
	case q.Initrd == "":
		return Machine{}, fmt.Errorf("the guest starts from the image %q: a probe starts guests from an initrd", q.Image)
	}
	return Machine{QEMU: q.Path, Kernel: q.Kernel, Initrd: q.Initrd, Parameters: q.Parameters, Architecture: architecture}, nil
}

// parts are what differs between architectures.
type parts struct{ console, vsock string }

func partsOf(architecture string) parts {
	switch architecture {
	case "arm64":
		return parts{"ttyAMA0", "vhost-vsock-pci"}
	case "ppc64le":
		return parts{"hvc0", "vhost-vsock-pci"}
	case "s390x":
		return parts{"ttysclp0", "vhost-vsock-ccw"}
	}
	return parts{"ttyS0", "vhost-vsock-pci"}
}

// How is how a machine is started.
type How struct {
	// Emulate starts it without KVM, which is some twenty times slower.
	Emulate bool
	// CID is the machine's address, free on this host.
	CID uint32
	// ReadyLine is what the console has in a line once the guest is ready. Empty means that the
	// guest's agent answers over vsock.
	ReadyLine string
}

// Addresses of machines are any that are not reserved. Those of sandboxes are random, too, and the
// kernel refuses one that is taken.
const firstCID, lastCID = 1 << 16, 1 << 31

// CID makes a machine's address of a random number.
func CID(random uint32) uint32 { return firstCID + random%(lastCID-firstCID) }

// Boot returns the start of the machine.
func (m Machine) Boot(how How) host.Boot {
	accelerator, cpu := "kvm", "host"
	if how.Emulate {
		accelerator, cpu = "tcg", "max"
	}
	p := partsOf(m.Architecture)
	// What Kata's shims give a guest of either init; loglevel, so that each stage shows.
	parameters := strings.TrimSpace("console=" + p.console + " loglevel=7 panic=1 systemd.unit=kata-containers.target " +
		"systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket " + m.Parameters)
	b := host.Boot{Program: m.QEMU, Port: agentPort, ReadyLine: how.ReadyLine, EndLine: panics, Args: []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-machine", vmm.MachineType(m.Architecture) + ",accel=" + accelerator, "-cpu", cpu, "-m", memory,
		"-kernel", m.Kernel, "-initrd", m.Initrd, "-append", parameters,
	}}
	if how.ReadyLine == "" {
		b.CID = how.CID
		b.Args = append(b.Args, "-device", fmt.Sprintf("%s,guest-cid=%d", p.vsock, how.CID))
	}
	return b
}
