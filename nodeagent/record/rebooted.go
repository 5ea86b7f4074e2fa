// SPDX-License-Identifier: Apache-2.0

package record

import "github.com/kata-node/kata-node/nodeagent/host"

// Rebooted is the last reboot that the agent asked for: which boot was to end by it, and what for.
// While that boot lasts, the reboot has not happened.
type Rebooted struct {
	Boot   string `json:"boot"`
	Reason string `json:"reason"`
}

// LoadRebooted returns the zero value where the agent has asked for none.
func LoadRebooted(files host.FileReader) (Rebooted, error) {
	return loadOrZero[Rebooted](files, host.RebootedFile)
}

// Save replaces the record.
func (r Rebooted) Save(files host.FileWriter) error { return save(files, host.RebootedFile, r) }

// RemoveRebooted deletes the record: the reboot has done what it was for.
func RemoveRebooted(files host.FileWriter) error { return files.Remove(host.RebootedFile) }
