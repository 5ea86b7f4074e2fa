// SPDX-License-Identifier: Apache-2.0

// Package damage tells errors that say that stored data is damaged from errors that pass. Only
// damage is a reason to discard data: it has to be fetched again, and with the registry away it is
// the only copy.
package damage

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/kata-node/kata-node/payload/inspect"
)

// Is reports whether an error says that data is damaged: content that is not what it should be, a
// bad sector (EIO), a file system that has found its structures (EUCLEAN) or a checksum (EBADMSG)
// wrong, or a part that is missing. Every other error may pass: a full disk, no file descriptors,
// no memory, an interruption, the end of a context.
func Is(err error) bool {
	if Differs(err) {
		return true
	}
	return errors.Is(err, fs.ErrNotExist) || OfMedium(err)
}

// Differs reports whether content could be read and is not what its manifest says.
func Differs(err error) bool {
	_, differs := errors.AsType[*inspect.Mismatch](err)
	return differs
}

// OfMedium reports whether an error says that the disk or its file system is damaged where the data
// is.
func OfMedium(err error) bool {
	return slices.ContainsFunc([]error{syscall.EIO, syscall.EUCLEAN, syscall.EBADMSG}, func(d error) bool { return errors.Is(err, d) })
}
