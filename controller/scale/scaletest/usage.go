// SPDX-License-Identifier: Apache-2.0

package scaletest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU is the time that a process has used, see proc_pid_stat(5).
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var ticks int
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("reading /proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// MiB is one line of proc_pid_status(5), such as VmRSS, what is resident now, and VmHWM, the most
// that ever was.
func MiB(pid int, line string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(status), "\n"+line+":")
	if !found {
		return 0, fmt.Errorf("/proc/%d/status has no %s", pid, line)
	}
	kilobytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		return 0, fmt.Errorf("reading /proc/%d/status: %w", pid, err)
	}
	return kilobytes / 1024, nil
}
