// SPDX-License-Identifier: Apache-2.0

// Package capabilities takes out of specs what the host cannot give. runc fails where a container
// asks for a capability that the host took from all its processes, as a privileged one does.
package capabilities

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moby/sys/capability"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Taken are those that this host took from all its processes, as a spec names them.
func Taken() ([]string, error) {
	self, err := capability.NewPid2(0)
	if err == nil {
		err = self.Load()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the host's capabilities: %w", err)
	}
	supported, err := capability.ListSupported()
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's capabilities: %w", err)
	}
	var taken []string
	for _, c := range supported {
		if !self.Get(capability.BOUNDING, c) {
			taken = append(taken, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	return taken, nil
}

// Without returns a copy of the sets less those that were taken.
func Without(sets *specs.LinuxCapabilities, taken []string) *specs.LinuxCapabilities {
	if sets == nil {
		return nil
	}
	less := *sets
	for _, set := range []*[]string{&less.Bounding, &less.Effective, &less.Inheritable, &less.Permitted, &less.Ambient} {
		*set = slices.DeleteFunc(slices.Clone(*set), func(name string) bool { return slices.Contains(taken, name) })
	}
	return &less
}
