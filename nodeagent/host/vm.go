// SPDX-License-Identifier: Apache-2.0

package host

import "context"

// Boot is one start of a virtual machine, by a program that connects the machine's first serial
// line to its own standard output.
type Boot struct {
	Program string
	Args    []string
	// CID and Port are where the machine is ready once it accepts a connection (vsock(7)). CID is 0
	// where ReadyLine counts.
	CID, Port uint32
	// ReadyLine is what a line of the console has once the machine is ready.
	ReadyLine string
	// EndLine is what a line of the console has where the machine cannot become ready any more,
	// such as a panic of its kernel. Empty means that no line says so.
	EndLine string
}

// Booted is what came of a start. The machine does not run any more.
type Booted struct {
	Ready bool
	// Console is what the machine printed, Words what the program itself did, each up to a limit
	// from its end.
	Console, Words string
	// Exited is why the program ended by itself, empty where it did not.
	Exited string
	// Answer is the last error of a connection, empty where none was tried. Reached is whether the
	// machine itself refused it.
	Answer  string
	Reached bool
}

// VMs starts virtual machines without a sandbox.
type VMs interface {
	// Boot returns when the machine is ready or has printed its end line, or when the program or
	// the context has ended. The program has ended then.
	Boot(ctx context.Context, boot Boot) (Booted, error)
}
