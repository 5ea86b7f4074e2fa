// SPDX-License-Identifier: Apache-2.0

// Package record has every record that the agent keeps on its host: its type, its file, and how it
// is read and written. No other package knows these files' formats.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// private is the mode of a record: no other program reads it.
const private = 0o600

// load returns nil where there is no record. A torn record cannot exist, because records are
// replaced by rename; one that a person edited so that it cannot be read counts as missing.
func load[T any](files host.FileReader, file string) (*T, error) {
	document, err := files.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no record is a normal answer
	}
	if err != nil {
		return nil, fmt.Errorf("reading record: %w", err)
	}
	var value T
	if err := json.Unmarshal(document, &value); err != nil {
		return nil, nil //nolint:nilnil,nilerr // see above
	}
	return &value, nil
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
