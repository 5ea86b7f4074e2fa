// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"path"
)

// GuestsDir holds an initrd for each slot whose payload asks for one. It outlives a boot.
const GuestsDir = "/var/lib/kata-containers/guest"

// The files of a guest. A guest without its record is not whole: the record is written last.
const (
	GuestInitrdFile = "initrd"
	GuestRecordFile = "initrd.json"
)

// GuestDir returns the directory of a slot's guest.
func GuestDir(slot string) string { return path.Join(GuestsDir, slot) }

// GuestInitrd returns where the initrd of a slot's guest lies.
func GuestInitrd(slot string) string { return path.Join(GuestDir(slot), GuestInitrdFile) }

// GuestOrder says what an initrd is made of.
type GuestOrder struct {
	Slot string
	// Kernel is the release of the kernel whose modules it gets.
	Kernel string
	// Base is the file of the payload that it begins with, as a path of the host; BaseSHA256 is its
	// digest in hex, by the payload's manifest.
	Base, BaseSHA256 string
	// Modules are wanted, OptionalModules may be missing; each in the order of loading.
	Modules, OptionalModules []string
}

// Guests makes the initrds of guests from the modules of kernels that are on disk.
type Guests interface {
	// Kernels returns the releases of all kernels on disk that have modules, newest installation
	// first, those of other deployments of an ostree system too.
	Kernels() ([]string, error)
	// Image returns the path of a kernel's image.
	Image(kernel string) (string, error)
	// Build makes the initrd of a slot, unless it is there already, made of the same. It returns
	// once the initrd is on disk.
	Build(ctx context.Context, order GuestOrder) error
}
