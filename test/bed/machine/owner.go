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
	// start is the clock tick since boot at which the process started; it tells a process from a
	// later one with the same pid.
	start uint64
}

// Home makes a directory below parent for the machines of one cluster. Its name says which process
// owns it, so that [Sweep] finds it and them when that process died.
func Home(parent string) (string, error) {
	start, err := startTick(os.Getpid())
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("making home of machines: %w", err)
	}
	home, err := os.MkdirTemp(parent, fmt.Sprintf("%s%d-%d-", prefix, os.Getpid(), start))
	if err != nil {
		return "", fmt.Errorf("making home of machines: %w", err)
	}
	return home, os.Chmod(home, 0o755)
}

// RemoveHome removes a home with all that is in it. Its machines have to be removed before.
func RemoveHome(home string) error { return removeDirectory(home) }

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
