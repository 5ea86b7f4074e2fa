// SPDX-License-Identifier: Apache-2.0

package files

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// watched are the events by which the content of a file, or who may write it, can change.
const watched = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_ATTRIB | unix.IN_ONLYDIR

// Watch calls changed when it follows a file, which need not be there, and after each change of it
// until the context ends. It waits in the kernel and costs nothing meanwhile. The file's directory
// has to exist, and the error says when it does not any more.
func (t Tree) Watch(ctx context.Context, path string, changed func()) error {
	path = t.Path(path)
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watching %s: %w", path, err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	stop := context.AfterFunc(ctx, func() { _ = events.Close() }) //nolint:errcheck // ends the read
	defer func() {
		if stop() {
			_ = events.Close() //nolint:errcheck // nothing was written
		}
	}()
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), watched); err != nil {
		return fmt.Errorf("watching %s: %w", filepath.Dir(path), err)
	}
	changed()
	buffer := make([]byte, 4<<10)
	for {
		n, err := events.Read(buffer)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("watching %s: %w", path, err)
		}
		concerns, ends := concern(buffer[:n], filepath.Base(path))
		if concerns || ends {
			changed()
		}
		if ends {
			return errors.New("watching " + filepath.Dir(path) + ": the directory was deleted or replaced")
		}
	}
}

// concern reads what the kernel wrote (inotify(7)): watch, mask, cookie, length of the name, name.
func concern(buffer []byte, name string) (concerns, ends bool) {
	for len(buffer) >= unix.SizeofInotifyEvent {
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buffer[12:]))
		about, _, _ := bytes.Cut(buffer[unix.SizeofInotifyEvent:end], []byte{0})
		mask := binary.NativeEndian.Uint32(buffer[4:])
		concerns = concerns || string(about) == name || mask&unix.IN_Q_OVERFLOW != 0
		ends = ends || mask&unix.IN_IGNORED != 0
		buffer = buffer[end:]
	}
	return concerns, ends
}
