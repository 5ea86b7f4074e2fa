// SPDX-License-Identifier: Apache-2.0

package proc

import "github.com/kata-node/kata-node/nodeagent/host"

// Limits of reads that do not end.
const (
	ReadLimit = readLimit
	MaxLate   = maxLate
)

// Reading lets a test stand in for the reads of some processes.
func (t *Table) Reading(instead func(pid int, really func() (host.Process, error)) (host.Process, error)) {
	t.read = func(pid int, dir string) (host.Process, error) {
		return instead(pid, func() (host.Process, error) { return process(pid, dir) })
	}
}

// EveryProcess reads arguments and maps of every process, as the baseline of the benchmark.
func (t *Table) EveryProcess(dir string) error {
	t.unused = map[identity]int{}
	_, err := t.Using(dir)
	return err
}
