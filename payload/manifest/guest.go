// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

const maxModules = 256

// moduleForm is what the kernel takes for the name of a module: MODULE_NAME_LEN is 56 on 64-bit
// systems.
var moduleForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,54}$`)

// Guest says what the initrd of a guest is made of that runs the host's own kernel: the host adds
// modules of its kernel to Initrd. A payload without one names kernel and initrd in its base
// configuration.
type Guest struct {
	// Initrd is the path of the base initrd, relative to the image's root. Its init loads what
	// etc/kata-guest/modules.load lists before its agent listens.
	Initrd string `json:"initrd"`
	// Modules are needed: built into the kernel or as files. They are loaded in this order.
	Modules []string `json:"modules,omitempty"`
	// OptionalModules are added where the host's kernel has them.
	OptionalModules []string `json:"optionalModules,omitempty"`
	// Kernel is the path of a kernel for hosts whose own cannot be used, relative to the image's
	// root; empty means that there is none. The base initrd is right for it as it is. A host uses
	// it only where its administrator says so.
	Kernel string `json:"kernel,omitempty"`
}

// KernelLeft is for people who build or look at a payload that leaves its kernel to people.
const KernelLeft = "this payload has no kernel for its guests, and its initrd loads no modules: name a kernel with virtio, vsock, virtiofs and overlay built in, " +
	"as hypervisor.qemu.kernel, in a file in /etc/kata-agent/config.d of each node, or use a payload that has one, such as of the profile host-qemu"

// LeavesKernel reports whether a payload has no kernel and does not say how hosts make a guest for
// theirs, so that an administrator has to name a kernel.
func (m Manifest) LeavesKernel() bool { return m.Requires.Kernel && m.Guest == nil }

func (m Manifest) validateGuest() error {
	if m.Guest == nil {
		return nil
	}
	g := *m.Guest
	if !m.Requires.Kernel && g.Kernel == "" {
		return errors.New("guest: it runs the host's kernel, so requires.kernel must be true, or the guest must have a kernel of its own")
	}
	if m.Requires.Kernel && len(g.Modules) == 0 {
		return errors.New("guest: no modules: list those that the host's kernel must load, or let requires.kernel be false")
	}
	if _, err := m.Resolve(g.Initrd); err != nil {
		return fmt.Errorf("guest: initrd %q: %w", g.Initrd, err)
	}
	if _, err := m.Resolve(g.Kernel); g.Kernel != "" && err != nil {
		return fmt.Errorf("guest: kernel %q: %w", g.Kernel, err)
	}
	return g.validateModules()
}

func (g Guest) validateModules() error {
	all := slices.Concat(g.Modules, g.OptionalModules)
	if len(all) > maxModules {
		return fmt.Errorf("guest: %d modules: at most %d", len(all), maxModules)
	}
	for i, name := range all {
		if slices.Contains(all[:i], name) {
			return fmt.Errorf("guest: module %q is listed twice", name)
		}
		if err := form("module", name, moduleForm); err != nil {
			return fmt.Errorf("guest: %w", err)
		}
	}
	return nil
}
