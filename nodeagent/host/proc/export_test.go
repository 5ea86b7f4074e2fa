// SPDX-License-Identifier: Apache-2.0

package proc

// EveryProcess reads arguments and maps of every process, as the baseline of the benchmark.
func (t *Table) EveryProcess(dir string) error {
	t.unused = map[identity]int{}
	_, err := t.Using(dir)
	return err
}
