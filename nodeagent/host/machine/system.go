// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host"
)

// cgroupVersion looks for the file that only the root of a unified hierarchy has.
func (e *Examiner) cgroupVersion() int {
	const hierarchy = "/sys/fs/cgroup"
	switch {
	case e.exists(hierarchy + "/cgroup.controllers"):
		return 2
	case e.exists(hierarchy):
		return 1
	default:
		return 0
	}
}

// storeFree is asked of the directory that will hold the store, or the next one above that exists.
func (e *Examiner) storeFree() uint64 {
	for dir := host.StoreDir; ; dir = path.Dir(dir) {
		var s unix.Statfs_t
		err := unix.Statfs(e.path(dir), &s)
		switch {
		case err == nil:
			return s.Bavail * uint64(s.Bsize) //nolint:gosec // it is positive
		case !errors.Is(err, fs.ErrNotExist) || dir == "/":
			return 0
		}
	}
}

func (e *Examiner) memory() (total, available uint64) {
	for line := range strings.Lines(e.read("/proc/meminfo")) {
		key, value, _ := strings.Cut(line, ":")
		kilobytes, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch key {
		case "MemTotal":
			total = kilobytes << 10
		case "MemAvailable":
			available = kilobytes << 10
		}
	}
	return total, available
}

// selinux asks the kernel whether its policy knows the context, as security_check_context(3) does:
// it refuses with EINVAL what it does not know. Where the agent may not ask, that is not known.
func (e *Examiner) selinux() host.SELinux {
	const dir = "/sys/fs/selinux"
	modes := map[string]string{"1": "enforcing", "0": "permissive", "": "disabled"}
	s := host.SELinux{Mode: modes[e.read(dir+"/enforce")]}
	if s.Mode == modes[""] || e.context == "" {
		return s
	}
	if err := ask(e.path(dir+"/context"), e.context); errors.Is(err, unix.EINVAL) {
		s.Unknown = e.context
	}
	return s
}

// ask writes a question to one of the kernel's files.
func ask(file, question string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(question + "\x00")
	return errors.Join(err, f.Close())
}

// privateStorage looks for CRI-O's storage among the mounts of PID 1. A mount with a peer group
// says so before the hyphen, see proc_pid_mountinfo(5).
func (e *Examiner) privateStorage() string {
	for line := range strings.Lines(e.read("/proc/1/mountinfo")) {
		before, _, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if len(fields) < mountFields || !strings.HasSuffix(fields[mountPoint], storageHome) {
			continue
		}
		if !strings.Contains(strings.Join(fields[mountFields:], " "), "shared:") {
			return fields[mountPoint]
		}
	}
	return ""
}

const (
	// storageHome is where CRI-O's library mounts its own directory over itself, below whatever
	// graph root.
	storageHome = "/containers/storage/overlay"
	mountPoint  = 4
	// mountFields are those of every line, before the optional ones.
	mountFields = 6
)

// clock asks the kernel, which keeps what the program that synchronises it has reported.
func (e *Examiner) clock() host.Clock {
	c := host.Clock{Now: e.now()}
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err == nil {
		c.Known, c.Synchronised = true, t.Status&unix.STA_UNSYNC == 0
	}
	return c
}
