// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"path"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/payload/manifest"
)

// Files in a slot's directory.
const (
	originFile   = "origin.json"
	verifiedFile = "verified.json"
	provedFile   = "proved.json"
	failedFile   = "failed.json"
	guestFile    = "guest.json"
)

func inSlot(slot, file string) string { return path.Join(host.SlotDir(slot), file) }

// Origin is what a slot was prepared from.
type Origin struct {
	// Image is the store's id, Platform the digest of its manifest for this platform, Payload the
	// reference by which it was asked for, Release the version that the payload calls itself.
	Image    string `json:"image"`
	Platform string `json:"platform"`
	Payload  string `json:"payload"`
	Release  string `json:"release"`
}

// LoadOrigin returns the zero value for a slot without its record: nothing was ever mounted there.
func LoadOrigin(files host.FileReader, slot string) (Origin, error) {
	return loadOrZero[Origin](files, inSlot(slot, originFile))
}

// Save replaces the record of a slot.
func (o Origin) Save(files host.FileWriter, slot string) error {
	return save(files, inSlot(slot, originFile), o)
}

// Verified says that every file of a slot's mount is what the payload's manifest says, and what
// that manifest says of the payload. It holds for one mount.
type Verified struct {
	// Architecture is a Go architecture name.
	Architecture string `json:"architecture"`
	// HandlerType is the type of our handler in the payload, empty where the payload does not offer
	// it.
	HandlerType string `json:"handlerType"`
	// Handlers are those that the payload offers and the agent can configure. It is empty where an
	// older agent has verified the payload, which did not look.
	Handlers []string `json:"handlers,omitempty"`
	// ShimCompatibility is equal in two payloads exactly when each one's shim reaches the other's
	// sandboxes.
	ShimCompatibility string `json:"shimCompatibility"`
	// Guest is whether this host makes kernel and initrd of the payload's guest.
	Guest bool `json:"guest,omitempty"`
	// Needs are the programs that the host must have, Packages those that bring them where a host
	// layers packages.
	Needs    Needs     `json:"needs,omitzero"`
	Packages []Package `json:"packages,omitempty"`
	// Sets are the systems that sets of packages are for, by name. One that is not there is for
	// every system.
	Sets map[string][]manifest.System `json:"sets,omitempty"`
	// VM is whether the payload starts virtual machines.
	VM bool `json:"vm,omitempty"`
	// OldestKernel is the oldest kernel that the host may run, empty where any does.
	OldestKernel string `json:"oldestKernel,omitempty"`
	// Identity identifies the files in their file system, as they were before they were compared.
	// It is empty where that file system does not record enough.
	Identity string `json:"identity,omitempty"`
	// Resumed is whether their content was compared before an earlier mount of this boot, and only
	// their identity since.
	Resumed bool `json:"resumed,omitempty"`
}

// LoadVerified returns nil for a slot that is not verified.
func LoadVerified(files host.FileReader, slot string) (*Verified, error) {
	return load[Verified](files, inSlot(slot, verifiedFile))
}

// Save replaces the record of a slot.
func (v Verified) Save(files host.FileWriter, slot string) error {
	return save(files, inSlot(slot, verifiedFile), v)
}

// Proved is the invocation of CRI-O that has started a sandbox from a slot.
type Proved struct {
	Invocation string `json:"invocation"`
	// Handlers are names of further handlers of which it has started one, too.
	Handlers []string `json:"handlers,omitempty"`
	// Rendered identifies what that sandbox was started with apart from the payload: the
	// configurations, the files of the host that they name, and the host's packages.
	Rendered string `json:"rendered,omitempty"`
}

// LoadProved returns the zero value for a slot that is not proved.
func LoadProved(files host.FileReader, slot string) (Proved, error) {
	return loadFindingOrZero[Proved](files, inSlot(slot, provedFile))
}

// Save replaces the record of a slot.
func (p Proved) Save(files host.FileWriter, slot string) error {
	return save(files, inSlot(slot, provedFile), p)
}

// Guest is what a slot's guests start from, for one mount of the slot. Both are paths of the host.
type Guest struct {
	Kernel string `json:"kernel"`
	Initrd string `json:"initrd"`
}

// LoadGuest returns nil for a slot whose guest is not made, or whose payload brings all of it.
func LoadGuest(files host.FileReader, slot string) (*Guest, error) {
	return load[Guest](files, inSlot(slot, guestFile))
}

// Save replaces the record of a slot.
func (g Guest) Save(files host.FileWriter, slot string) error {
	return save(files, inSlot(slot, guestFile), g)
}

// RemoveGuest deletes the record of a slot.
func RemoveGuest(files host.FileWriter, slot string) error {
	return files.Remove(inSlot(slot, guestFile))
}

// RemoveMarks deletes what was found out about a slot's former mount.
func RemoveMarks(files host.FileWriter, slot string) error {
	var errs []error
	for _, file := range []string{verifiedFile, guestFile, provedFile, failedFile} {
		errs = append(errs, files.Remove(inSlot(slot, file)))
	}
	return errors.Join(errs...)
}
