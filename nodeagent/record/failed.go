// SPDX-License-Identifier: Apache-2.0

package record

import "github.com/kata-node/kata-node/nodeagent/host"

// Failed is what came of proofs of a slot with one CRI-O. It holds for one mount of the slot.
type Failed struct {
	// Invocation is that of CRI-O.
	Invocation string `json:"invocation"`
	// Strained is how many proofs in a row lacked something of the host.
	Strained int `json:"strained,omitempty"`
	// Times is how many failures count against the payload. Words is what the runtime said last.
	Times int    `json:"times,omitempty"`
	Words string `json:"words,omitempty"`
	// Control is the slot that was proved for comparison, empty while none was. ControlWords is
	// what the runtime said of that one, empty where its proof passed.
	Control      string `json:"control,omitempty"`
	ControlWords string `json:"controlWords,omitempty"`
}

// LoadFailed returns the zero value for a slot of which no proof has failed.
func LoadFailed(files host.FileReader, slot string) (Failed, error) {
	return loadFindingOrZero[Failed](files, inSlot(slot, failedFile))
}

// Save replaces the record of a slot.
func (f Failed) Save(files host.FileWriter, slot string) error {
	return save(files, inSlot(slot, failedFile), f)
}
