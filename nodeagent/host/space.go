// SPDX-License-Identifier: Apache-2.0

package host

// Threshold is what has to stay free of a file system, or else the kubelet evicts pods.
type Threshold struct {
	// Signal and Value are those of the kubelet's configuration, such as imagefs.available and 15%.
	Signal, Value string
	// Dir is a directory of the file system that it is about.
	Dir string
	// Amount is in bytes, or in inodes where Inodes is true; Percent is of the capacity. One of
	// them is 0.
	Amount  uint64
	Percent float64
	Inodes  bool
}

// Of returns what has to stay free of so much.
func (t Threshold) Of(capacity uint64) uint64 {
	return max(t.Amount, uint64(float64(capacity)*t.Percent/100))
}
