// SPDX-License-Identifier: Apache-2.0

// Package resident gives memory back that a process at rest does not need.
package resident

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Trim gives back what the heap no longer uses, and the pages of this process' program, which its
// start has touched from end to end. Those stay in the page cache while the kernel has room, and
// are mapped again where they are used. A mapping with a page that was written to is left alone.
// See madvise(2) and proc_pid_smaps(5).
func Trim() error {
	debug.FreeOSMemory()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer smaps.Close() //nolint:errcheck // Nothing was written.
	mappings, err := clean(smaps, program)
	if err != nil {
		return fmt.Errorf("reading %s: %w", smaps.Name(), err)
	}
	for _, m := range mappings {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("giving back the pages %x-%x of %s: %w", m.from, m.to, program, errno)
		}
	}
	return nil
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// clean returns the mappings of a file that cannot be written to, and never were: every page of
// them is one of the file.
func clean(smaps io.Reader, file string) (all []mapping, err error) {
	var last mapping
	ours := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		var m mapping
		var mode string
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s ", &m.from, &m.to, &mode); n == 3 { //nolint:errcheck // n is less for a line of another form.
			last, ours = m, strings.HasPrefix(mode, "r-") && strings.HasSuffix(lines.Text(), " "+file)
			continue
		}
		if fields := strings.Fields(lines.Text()); ours && len(fields) > 1 && fields[0] == "Anonymous:" && fields[1] == "0" {
			all = append(all, last)
		}
	}
	return all, lines.Err()
}
