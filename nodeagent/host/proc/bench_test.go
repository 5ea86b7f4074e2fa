// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/nodeagent/host/proc"
)

// processes is what a busy node has, threads not counted.
const processes = 1000

// cpu is the time that this process has used, in seconds.
func cpu(b *testing.B) float64 {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// One look for holders on a node with 1,000 processes more, none of which uses a payload. The
// baseline reads the arguments and the maps of all of them, as every look did before.
func BenchmarkHolders(b *testing.B) {
	for range processes {
		c := exec.CommandContext(b.Context(), "sleep", "1000")
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Wait() }) //nolint:errcheck // It ends with the benchmark.
	}
	const dir = "/run/kata-agent/slots"
	measure := func(name string, look func() error) float64 {
		perLook := 0.0
		b.Run(name, func(b *testing.B) {
			before := cpu(b)
			for b.Loop() {
				if err := look(); err != nil {
					b.Fatal(err)
				}
			}
			perLook = (cpu(b) - before) / float64(b.N)
			b.ReportMetric(perLook*1e3, "cpu-ms/op")
		})
		return perLook
	}
	table := proc.Below("/")
	every := measure("every-process", func() error { return table.EveryProcess(dir) })
	known := measure("known-processes", func() error { _, err := table.Using(dir); return err })
	b.Run("ratio", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(every/known, "baseline/known")
	})
}
