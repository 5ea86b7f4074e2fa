// SPDX-License-Identifier: Apache-2.0

// Package peak measures the memory of a benchmark's process, see proc_pid_status(5).
package peak

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Forget lets the largest resident size begin anew, see clear_refs in proc(5).
func Forget(b *testing.B) {
	b.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// Kilobytes is the largest resident size that this process has had since (VmHWM).
func Kilobytes(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kilobytes); n == 1 { //nolint:errcheck // other lines do not match
			return kilobytes
		}
	}
	b.Fatal("/proc/self/status has no VmHWM")
	return 0
}
