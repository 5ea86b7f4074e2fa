// SPDX-License-Identifier: Apache-2.0

package record

import "github.com/kata-node/kata-node/nodeagent/host"

// Served is the payload that current served last, and the slot that it was prepared in. It outlives
// a boot: the agent serves it again from its store alone.
type Served struct {
	Payload string `json:"payload"`
	Slot    string `json:"slot"`
	// Before is the payload that was served before, empty where there was none. It stays in the
	// store, so that going back needs no registry.
	Before string `json:"before,omitempty"`
}

// Next returns what is recorded once another slot is served. It may be one of the same payload, as
// for another kernel.
func (s *Served) Next(payload, slot string) Served {
	switch {
	case s == nil:
		return Served{Payload: payload, Slot: slot}
	case s.Payload == payload:
		return Served{Payload: payload, Slot: slot, Before: s.Before}
	}
	return Served{Payload: payload, Slot: slot, Before: s.Payload}
}

// LoadServed returns nil where nothing was served yet.
func LoadServed(files host.FileReader) (*Served, error) { return load[Served](files, host.ServedFile) }

// Save replaces the record.
func (s Served) Save(files host.FileWriter) error { return save(files, host.ServedFile, s) }

// RemoveServed deletes the record: nothing is served again at the next boot.
func RemoveServed(files host.FileWriter) error { return files.Remove(host.ServedFile) }
