// SPDX-License-Identifier: Apache-2.0

package record

import (
	"maps"
	"slices"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Proofs are the proofs that the runtime was asked for, and whose sandbox it has not named since.
type Proofs struct {
	// Asked has how often each was reclaimed in vain, by the name of its sandbox.
	Asked map[string]int `json:"asked"`
}

// LoadProofs returns the zero value where there are none. What an agent does not know of, CRI-O
// ends by itself after two minutes.
func LoadProofs(files host.FileReader) (Proofs, error) {
	return loadFindingOrZero[Proofs](files, host.ProofsFile)
}

// Names returns their names in order.
func (p Proofs) Names() []string { return slices.Sorted(maps.Keys(p.Asked)) }

// Save replaces the record, and deletes it where there are none.
func (p Proofs) Save(files host.FileWriter) error {
	if len(p.Asked) == 0 {
		return files.Remove(host.ProofsFile)
	}
	return save(files, host.ProofsFile, p)
}
