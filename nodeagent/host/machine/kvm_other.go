// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package machine

import "context"

// prepareVM has nothing to do: a virtual processor can be created without memory.
func (*virtualMachine) prepareVM() error { return nil }

// runInstructions runs none: registers and instructions are those of the architecture.
func (*virtualMachine) runInstructions(context.Context) (bool, error) { return false, nil }
