// SPDX-License-Identifier: Apache-2.0

package rpmset

import (
	"encoding/binary"
	"errors"
	"io"
)

// Where the two headers of a package are (rpm.org, "RPM V4 package format"): the first lies behind
// the lead, and the second behind the first, which is padded to 8 bytes. Each begins with 16 bytes,
// the last 8 of which are its number of entries, of 16 bytes each, and its number of data bytes.
const (
	leadSize  = 96
	introSize = 16
	entrySize = 16
)

// maxHeader is the largest header that is read, in bytes. Those of the largest packages of a
// distribution, kernels, have some megabytes.
const maxHeader = 64 << 20

// checkSizes refuses a package whose headers claim to be larger than they may be, before the
// library reserves that much memory.
func checkSizes(rpm io.ReaderAt) error {
	at := int64(leadSize)
	for range 2 {
		var intro [introSize]byte
		if _, err := rpm.ReadAt(intro[:], at); err != nil {
			return errors.New("it ends within its headers")
		}
		size := int64(binary.BigEndian.Uint32(intro[8:]))*entrySize + int64(binary.BigEndian.Uint32(intro[12:]))
		if size > maxHeader {
			return errors.New("its header claims to be larger than 64 MiB")
		}
		at += introSize + (size+7)/8*8
	}
	return nil
}
