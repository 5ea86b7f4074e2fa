// SPDX-License-Identifier: Apache-2.0

package decidetest

// How an instance ends at a write, or what it does not get to know.
const (
	Before    = "it ends before the write"
	After     = "it ends after the write"
	Ambiguous = "it gets no answer to the write"
)

// Kill is what happens to an instance at one of a life's writes.
type Kill struct {
	// At is how many writes come before.
	At  int
	How string
	// Done is true once it has happened.
	Done bool
}

// ends makes a write, or not, and is true where the instance has ended.
func (k *Kill) ends(write func()) bool {
	if k == nil || k.Done {
		write()
		return false
	}
	if k.At--; k.At >= 0 {
		write()
		return false
	}
	if k.How != Before {
		write()
	}
	k.Done = true
	return k.How != Ambiguous
}

// unanswered is true for the write whose answer is lost.
func (k *Kill) unanswered() bool { return k != nil && !k.Done && k.At < 0 && k.How == Ambiguous }
