// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// vms starts nothing.
type vms struct{ m *Machine }

func (v vms) Boot(_ context.Context, boot host.Boot) (host.Booted, error) {
	booted, there := v.m.Booted[boot.Program]
	if !there {
		return host.Booted{}, fmt.Errorf("starting %s: %w", boot.Program, fs.ErrNotExist)
	}
	return booted, nil
}
