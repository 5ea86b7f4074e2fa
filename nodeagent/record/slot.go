// SPDX-License-Identifier: Apache-2.0

package record

import (
	"path"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// Files in a slot's directory.
const (
	originFile = "origin.json"
	// VerifiedMark and ProvedMark hold for this boot.
	VerifiedMark = "verified"
	ProvedMark   = "proved"
)

// Origin is what a slot was prepared from.
type Origin struct {
	// Image is the store's id, Payload the reference by which it was asked for, Release the version that the
	// payload calls itself.
	Image   string `json:"image"`
	Payload string `json:"payload"`
	Release string `json:"release"`
}

// OriginFile is the file of a slot's origin.
func OriginFile(slot string) string { return path.Join(host.SlotDir(slot), originFile) }

// LoadOrigin returns the zero value for a slot without its record: nothing was ever mounted there.
func LoadOrigin(files host.FileReader, slot string) (Origin, error) {
	o, err := load[Origin](files, OriginFile(slot))
	if o == nil {
		return Origin{}, err
	}
	return *o, err
}

// Save replaces the record of a slot.
func (o Origin) Save(files host.FileWriter, slot string) error {
	return save(files, OriginFile(slot), o)
}

// Marked reports whether a slot has a mark.
func Marked(files host.FileReader, slot, mark string) bool {
	_, err := files.Read(path.Join(host.SlotDir(slot), mark))
	return err == nil
}

// Mark sets a mark of a slot.
func Mark(files host.FileWriter, slot, mark string) error {
	return files.Write(path.Join(host.SlotDir(slot), mark), nil, private)
}
