// SPDX-License-Identifier: Apache-2.0

package systemd

// What the tests of this package see of it.
var (
	Complaints    = complaints
	ConfigCommand = configCommand
	Decode        = decode
	LastWords     = lastWords
	Messages      = messages
	Program       = program
	Running       = running
	Untimed       = untimed
)
