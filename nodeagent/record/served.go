// SPDX-License-Identifier: Apache-2.0

package record

import "github.com/kata-node/kata-node/nodeagent/host"

// Served is the payload that current served last, and the slot that it was prepared in. It outlives a
// boot: the agent serves it again from its store alone.
type Served struct {
	Payload string `json:"payload"`
	Slot    string `json:"slot"`
}

// LoadServed returns nil where nothing was served yet.
func LoadServed(files host.FileReader) (*Served, error) { return load[Served](files, host.ServedFile) }

// Save replaces the record.
func (s Served) Save(files host.FileWriter) error { return save(files, host.ServedFile, s) }

// Restarted is one use of a grant in this boot: for which intent, and which invocation of CRI-O was to end
// by it. While that invocation still runs, the restart has not happened.
type Restarted struct {
	Intent     string `json:"intent"`
	Invocation string `json:"invocation"`
}

// LoadRestarted returns the zero value where no grant was used in this boot.
func LoadRestarted(files host.FileReader) (Restarted, error) {
	r, err := load[Restarted](files, host.RestartedFile)
	if r == nil {
		return Restarted{}, err
	}
	return *r, err
}

// Save replaces the record.
func (r Restarted) Save(files host.FileWriter) error { return save(files, host.RestartedFile, r) }
