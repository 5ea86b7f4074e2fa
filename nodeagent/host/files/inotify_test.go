// SPDX-License-Identifier: Apache-2.0

package files_test

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

type event struct {
	mask uint32
	name string
}

// decode reads what the kernel wrote (inotify(7)): watch, mask, cookie, length of the name, name.
func decode(buffer []byte) (events []event) {
	for len(buffer) >= unix.SizeofInotifyEvent {
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buffer[12:]))
		name, _, _ := bytes.Cut(buffer[unix.SizeofInotifyEvent:end], []byte{0})
		events = append(events, event{binary.NativeEndian.Uint32(buffer[4:]), string(name)})
		buffer = buffer[end:]
	}
	return events
}
