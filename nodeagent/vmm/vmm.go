// SPDX-License-Identifier: Apache-2.0

// Package vmm finds the programs of a host that run virtual machines: QEMU, and the daemon that
// serves a sandbox's files to its guest. It asks for files by name and starts nothing.
package vmm

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Program is one that a payload may leave to its host.
type Program struct {
	// Name is for people.
	Name string
	// Candidates are where distributions install it, the first one that is there counts.
	Candidates []string
	// Packages bring it, as Fedora and its relatives, and then Debian and its relatives, name them.
	Packages [2]string
}

// QEMU is the program for machines of a Go architecture.
func QEMU(architecture string) Program {
	m := machine(architecture)
	return Program{
		Name: "QEMU",
		Candidates: []string{
			"/usr/libexec/qemu-kvm",            // RHEL, CentOS, RHCOS
			"/usr/bin/qemu-system-" + m.suffix, // Fedora, Debian, Ubuntu, SUSE, Arch
			"/usr/bin/qemu-kvm",                // a script of Fedora that starts the one above
		},
		Packages: [2]string{"qemu-kvm-core", m.debian},
	}
}

// Virtiofsd is the same program on every architecture: the one of the virtio-fs project. The one
// that QEMU brought up to version 7.2, as /usr/lib/qemu/virtiofsd on Debian 12 and Ubuntu 22.04,
// exits on the options that Kata gives it.
func Virtiofsd() Program {
	return Program{
		Name: "virtiofsd",
		Candidates: []string{
			"/usr/libexec/virtiofsd", // RHEL, Fedora, RHCOS, Debian since 13, SUSE
			"/usr/lib/virtiofsd",     // Arch
			"/usr/bin/virtiofsd",     // built from source
		},
		Packages: [2]string{"virtiofsd", "virtiofsd"},
	}
}

// MachineType returns the machine of QEMU that Kata runs on an architecture and that every
// distribution builds, empty for an architecture without one.
func MachineType(architecture string) string { return machine(architecture).kind }

// names are QEMU's for an architecture.
type names struct {
	// suffix ends the name of the program, kind is the machine type, debian the package.
	suffix, kind, debian string
}

func machine(architecture string) names {
	switch architecture {
	case "amd64":
		return names{"x86_64", "q35", "qemu-system-x86"}
	case "arm64":
		return names{"aarch64", "virt", "qemu-system-arm"}
	case "ppc64le":
		return names{"ppc64", "pseries", "qemu-system-ppc"}
	case "s390x":
		return names{"s390x", "s390-ccw-virtio", "qemu-system"}
	}
	return names{suffix: architecture, debian: "qemu-system"}
}

// Missing is the error of a host that does not have a program.
type Missing struct{ Program Program }

func (e *Missing) Error() string {
	p := e.Program
	return fmt.Sprintf("this host has no %s (looked for %s): on OpenShift add the extension sandboxed-containers to a MachineConfig, elsewhere install the package %s, or %s on Debian and Ubuntu",
		p.Name, strings.Join(p.Candidates, ", "), p.Packages[0], p.Packages[1])
}

// Find returns the first candidate that is a program, which a link may lead to. The error is
// Missing where there is none.
func (p Program) Find(files host.FileReader) (string, error) {
	for _, candidate := range p.Candidates {
		if info, err := files.Stat(candidate); err == nil && executable(info) {
			return candidate, nil
		}
	}
	return "", &Missing{p}
}

func executable(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
