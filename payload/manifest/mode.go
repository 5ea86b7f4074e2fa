// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"io/fs"
	"strconv"
)

// maxMode is the largest number that has the permission bits, setuid, setgid and sticky only.
const maxMode = 0o7777

// Mode is a file's permission bits, written as four octal digits.
type Mode uint32

// Perm returns the permission bits as Go's file systems have them.
func (m Mode) Perm() fs.FileMode { return fs.FileMode(m) & fs.ModePerm }

// Executable tells whether everybody may execute the file: shims run as root, QEMU may not.
func (m Mode) Executable() bool { return m&0o111 == 0o111 }

// String returns four octal digits.
func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// MarshalText writes four octal digits.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads four octal digits. Bits that no payload may have are read too, so that
// Validate can name the file.
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 16)
	if err != nil || len(text) != 4 || n > maxMode {
		return fmt.Errorf("mode %q is not four octal digits such as 0755", text)
	}
	*m = Mode(n)
	return nil
}
