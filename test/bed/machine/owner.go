// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// prefix of everything that this package leaves in places it shares with others.
const prefix = "katabed-"

// owner is the process that started a machine and will remove it.
type owner struct {
	pid int
	// start is the clock tick since boot at which the process started; it tells a process from a later one with the same pid.
	start uint64
}

// self is this process.
func self() (owner, error) {
	start, err := startTick(os.Getpid())
	return owner{pid: os.Getpid(), start: start}, err
}

// tag names the owner in names of directories, cgroups and machines.
func (o owner) tag() string { return fmt.Sprintf("%s%d-%d", prefix, o.pid, o.start) }

// parseTag reads a tag at the start of a name; ok is false for a name that is not ours.
func parseTag(name string) (o owner, ok bool) {
	rest, ours := strings.CutPrefix(name, prefix)
	if !ours {
		return owner{}, false
	}
	fields := strings.SplitN(rest, "-", 3)
	if len(fields) < 2 {
		return owner{}, false
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return owner{}, false
	}
	start, err := strconv.ParseUint(fields[1], 10, 64)
	return owner{pid: pid, start: start}, err == nil
}

// gone is true when the owner runs no more. A zombie does not run.
func (o owner) gone() bool {
	start, err := startTick(o.pid)
	return err != nil || start != o.start
}

// startTick reads field 22 of /proc/PID/stat, see proc_pid_stat(5).
func startTick(pid int) (uint64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the command in parentheses and may hold anything.
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
	const state, startTime = 0, 19
	if len(fields) <= startTime || fields[state] == "Z" {
		return 0, fmt.Errorf("reading start of process %d: it ended", pid)
	}
	return strconv.ParseUint(fields[startTime], 10, 64)
}
