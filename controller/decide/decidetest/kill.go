// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// How an instance ends at a write, or what it does not get to know.
const (
	before    = "it ends before the write"
	after     = "it ends after the write"
	ambiguous = "it gets no answer to the write"
)

// Kill is what happens to an instance at one of a life's writes.
type Kill struct {
	// at is how many writes come before.
	at  int
	how string
	// done is true once it has happened.
	done bool
}

// EveryWrite lives a life for each of its writes, at which the leader ends. Below 1000 seeds it
// leaves out most of them.
func (s Seeds) EveryWrite(t *testing.T, live func(t *testing.T, kill *Kill)) {
	t.Helper()
	stride := int(max(1, 1000/max(1, *s.count))) //nolint:gosec // It is 1000 at most.
	for _, how := range []string{before, after, ambiguous} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			for at := 0; ; at += stride {
				kill := &Kill{at: at, how: how}
				live(t, kill)
				if !kill.done {
					t.Logf("%d writes", at)
					assert.Greater(t, at, 30)
					return
				}
			}
		})
	}
}

// LiveOrderly is a life without accidents: an installation on every node, an update and a removal.
func (l *Life) LiveOrderly(kill *Kill, update string) {
	l.T.Helper()
	l.kill = kill
	l.sim.Heal()
	for _, kc := range l.Configs.Now {
		kc.Spec.KataConfigPoolSelector = nil
	}
	l.EndAccidents()
	l.Settle()
	l.Installed()
	for _, name := range Names(l.Configs.Now) {
		kc := l.Configs.Now[name].DeepCopy()
		kc.Generation++
		kc.Spec.Config.PayloadImage = update
		l.Configs.Put(kc, l.Next())
	}
	l.Settle()
	l.Installed()
	l.DeleteAll()
	l.Settle()
	l.Removed()
}

// ends makes a write, or not, and is true where the instance has ended.
func (k *Kill) ends(write func()) bool {
	if k == nil || k.done {
		write()
		return false
	}
	if k.at--; k.at >= 0 {
		write()
		return false
	}
	if k.how != before {
		write()
	}
	k.done = true
	return k.how != ambiguous
}

// unanswered is true for the write whose answer is lost.
func (k *Kill) unanswered() bool { return k != nil && !k.done && k.at < 0 && k.how == ambiguous }
