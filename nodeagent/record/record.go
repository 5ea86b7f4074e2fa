// SPDX-License-Identifier: Apache-2.0

// Package record has every record that the agent keeps on its host: its type, its file, and how it
// is read and written. No other package knows these files' formats.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// private is the mode of a record: no other program reads it.
const private = 0o600

// revision is the form of all records together. It rises when the meaning of a field changes; a
// field that is added does not change it, because agents ignore what they do not know. Records do
// not name it while it is 1.
const revision = 1

// Newer is the error for a record in a form that a newer agent has brought. The agent changes
// nothing on its host as long as it cannot read what that one has done.
type Newer struct {
	File     string
	Revision int
}

// Error names the remedy: records below /run end with the boot.
func (e *Newer) Error() string {
	remedy := "delete that file"
	if strings.HasPrefix(e.File, host.RunDir+"/") {
		remedy = "reboot this node"
	}
	return fmt.Sprintf("record %s has form %d of a newer agent, and this agent reads form %d: run the newer agent again, or %s", e.File, e.Revision, revision, remedy)
}

// load returns nil where there is no record, and [Newer] for one that only a newer agent reads. A
// torn record cannot exist, because records are replaced by rename; one that a person edited so
// that it cannot be read counts as missing.
func load[T any](files host.FileReader, file string) (*T, error) {
	document, err := files.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no record is a normal answer
	}
	if err != nil {
		return nil, fmt.Errorf("reading record: %w", err)
	}
	var form struct {
		Revision int `json:"revision"`
	}
	if err := json.Unmarshal(document, &form); err == nil && form.Revision > revision {
		return nil, &Newer{File: file, Revision: form.Revision}
	}
	var value T
	if err := json.Unmarshal(document, &value); err != nil {
		return nil, nil //nolint:nilnil,nilerr // see above
	}
	return &value, nil
}

// loadFinding loads what the agent has found out about a mount or a CRI-O. What only a newer agent
// reads is found out anew.
func loadFinding[T any](files host.FileReader, file string) (*T, error) {
	found, err := load[T](files, file)
	if _, newer := errors.AsType[*Newer](err); newer {
		return nil, nil //nolint:nilnil // see above
	}
	return found, err
}

func loadFindingOrZero[T any](files host.FileReader, file string) (value T, err error) {
	found, err := loadFinding[T](files, file)
	if found != nil {
		value = *found
	}
	return value, err
}

func loadOrZero[T any](files host.FileReader, file string) (value T, err error) {
	found, err := load[T](files, file)
	if found != nil {
		value = *found
	}
	return value, err
}

func save(files host.FileWriter, file string, value any) error {
	document, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing record %s: %w", file, err)
	}
	if err := files.Write(file, document, private); err != nil {
		return fmt.Errorf("writing record: %w", err)
	}
	return nil
}
