// SPDX-License-Identifier: Apache-2.0

package record

import (
	"path"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Findings are what was found out about a slot, kept beyond its unmount. Whether they still hold is
// for plan to decide, and whether the files are still the same for the step that mounts them again.
type Findings struct {
	Slot string `json:"slot"`
	// Boot and Build are the boot and the agent in which they were found.
	Boot     string   `json:"boot"`
	Build    string   `json:"build"`
	Origin   Origin   `json:"origin"`
	Verified Verified `json:"verified"`
	Proved   Proved   `json:"proved"`
	// Guest is nil where the payload brings all of its guest.
	Guest *Guest `json:"guest,omitempty"`
}

const findingsSuffix = ".json"

func findingsFile(slot string) string { return path.Join(host.FindingsDir, slot+findingsSuffix) }

// LoadFindings returns nil where nothing was kept of a slot that this agent reads.
func LoadFindings(files host.FileReader, slot string) (*Findings, error) {
	return loadFinding[Findings](files, findingsFile(slot))
}

// LoadAllFindings returns those of all slots. A file that holds those of another slot is passed
// over.
func LoadAllFindings(files host.FileReader) ([]Findings, error) {
	names, err := files.List(host.FindingsDir)
	if err != nil {
		return nil, err
	}
	var all []Findings
	for _, name := range names {
		slot, is := strings.CutSuffix(name, findingsSuffix)
		if !is || strings.HasPrefix(name, ".") {
			continue
		}
		found, err := LoadFindings(files, slot)
		if err != nil {
			return nil, err
		}
		if found != nil && found.Slot == slot {
			all = append(all, *found)
		}
	}
	return all, nil
}

// Save replaces the record.
func (f Findings) Save(files host.FileWriter) error { return save(files, findingsFile(f.Slot), f) }

// RemoveFindings deletes the record of a slot.
func RemoveFindings(files host.FileWriter, slot string) error {
	return files.Remove(findingsFile(slot))
}
