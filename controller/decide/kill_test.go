// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

// When an instance ends, or what it does not get to know.
const (
	before    = "it ends before the write"
	after     = "it ends after the write"
	ambiguous = "it gets no answer to the write"
)

// kill is what happens to an instance at one of a world's writes.
type kill struct {
	at      int
	how     string
	pending bool
}

// An installation, an update and a removal come to their ends whichever write it is at which the
// leader ends, and no write does harm on the way (invariants_test.go).
func TestALeaderMayEndAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, how := range []string{before, after, ambiguous} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			for at := 0; ; at += stride() {
				w := newWorld(t, *first, false)
				w.kill = &kill{at: at, how: how, pending: true}
				w.lives()
				if w.kill.pending {
					t.Logf("%d writes", at)
					assert.Greater(t, at, 30)
					return
				}
			}
		})
	}
}

// stride leaves out most writes where few clusters are simulated.
func stride() int {
	if *seeds < 1000 {
		return 7
	}
	return 1
}

// lives is a life without accidents.
func (w *world) lives() {
	w.t.Helper()
	w.hosts[w.victim].broken, w.victim = "", -1
	for _, kc := range w.Configs.Now {
		kc.Spec.KataConfigPoolSelector = nil
	}
	w.repair()
	w.settles()
	w.installed()
	for _, name := range decidetest.Names(w.Configs.Now) {
		kc := w.Configs.Now[name].DeepCopy()
		kc.Generation++
		kc.Spec.Config.PayloadImage = factstest.PayloadB
		w.Configs.Put(kc, w.Next())
	}
	w.settles()
	w.installed()
	w.ending = true
	for _, name := range decidetest.Names(w.Configs.Now) {
		w.administrator().Delete(w.Configs.Now[name], w.now, w.calm)
	}
	w.settles()
	w.removed()
}

// ends makes a write, or not, and is true where the leader has ended.
func (w *world) ends(write func()) bool {
	k := w.kill
	if k == nil || !k.pending {
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
	k.pending = false
	if k.how == ambiguous {
		return false
	}
	w.lead()
	return true
}

// answered is true where an instance gets to know that its write was made.
func (w *world) answered() bool {
	if w.kill != nil && w.kill.pending && w.kill.at < 0 && w.kill.how == ambiguous {
		return false
	}
	return w.calm || w.rnd.Likely(97)
}

// lease is for how many rounds no other instance takes over from a frozen one.
const lease = 4

// thaws continues a pass that was frozen. Once another instance may lead, apply.Fence lets no
// write pass; where it does all the same, the versions that every write names have to do, and those
// of further passes.
func (l *leader) thaws() {
	if l.frozen--; l.frozen > 0 {
		return
	}
	if l.left == nil {
		l.watch()
		l.pass()
		return
	}
	for _, write := range l.left {
		write()
		l.w.step()
	}
	l.left = nil
}

// thawsInTime continues while no other instance leads; after the lease, another instance does.
func (l *leader) thawsInTime() {
	if l.waited++; l.waited <= lease {
		l.thaws()
		return
	}
	l.stale, l.extra = true, l.w.rnd.IntN(6)
	if l.w.late {
		l.w.frozen = append(l.w.frozen, l)
	}
	l.w.lead()
}
