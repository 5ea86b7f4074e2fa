// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// MissingModule is one that no kernel of a machine has.
const MissingModule = "no_such_module"

// guests writes text for archives.
type guests struct{ m *Machine }

func (g guests) Kernels() ([]string, error) { return slices.Clone(g.m.Kernels), nil }

func (g guests) Image(kernel string) (string, error) {
	if !slices.Contains(g.m.Kernels, kernel) {
		return "", fmt.Errorf("the image of kernel %s is not there", kernel)
	}
	return "/usr/lib/modules/" + kernel + "/vmlinuz", nil
}

func (g guests) Build(_ context.Context, order host.GuestOrder) error {
	base, err := os.ReadFile(g.m.path(order.Base))
	switch {
	case err != nil:
		return err
	case !slices.Contains(g.m.Kernels, order.Kernel):
		return fmt.Errorf("building the guest for kernel %s: it is not on disk", order.Kernel)
	case slices.Contains(order.Modules, MissingModule):
		return fmt.Errorf("building the guest for kernel %s: module %s is missing", order.Kernel, MissingModule)
	}
	modules := fmt.Sprintf("%s%s %v", base, order.Kernel, order.Modules)
	if err := g.m.Files.Write(host.GuestInitrd(order.Slot), []byte(modules), publicFile); err != nil {
		return err
	}
	if g.m.FullDisk {
		return unix.ENOSPC
	}
	return g.m.Files.Write(host.GuestDir(order.Slot)+"/"+host.GuestRecordFile, []byte(order.BaseSHA256), publicFile)
}

const publicFile = 0o644
