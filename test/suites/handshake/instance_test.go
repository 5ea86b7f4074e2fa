// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"slices"
	"time"

	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/rollout"
	corev1 "k8s.io/api/core/v1"
)

// lease is for how many rounds no other instance takes over from a frozen one.
const lease = 4

// instance is one of the controller, with what happens to it.
type instance struct {
	*decidetest.Instance

	w *life
	// left are the writes before which it was frozen, for so many rounds.
	left   []func()
	frozen int
	// waited are the rounds since, and stale is true once another instance leads.
	waited int
	stale  bool
}

// lead starts an instance, which has listed everything.
func (w *life) lead() {
	l := &instance{w: w}
	l.Instance = decidetest.Start(&w.Cluster, l)
	w.leader = l
}

// leads lets the leader take a pass, and those that only believe to be one.
func (w *life) leads() {
	for _, l := range w.former {
		l.thaws()
	}
	w.former = slices.DeleteFunc(w.former, func(l *instance) bool { return l.left == nil })
	switch l := w.leader; {
	case w.calm:
		l.CatchUp()
		l.pass()
	case l.left != nil:
		l.waits()
	default:
		l.Follow(func(behind int) int {
			if behind == 0 || w.rnd.Likely(60) {
				return behind
			}
			return w.rnd.IntN(behind + 1)
		})
		if w.rnd.Likely(80) {
			l.pass()
		}
	}
}

// pass is one of this instance. It may die or be frozen before any of its writes, and others act
// between them.
func (l *instance) pass() {
	w := l.w
	seen := l.Seen()
	d := l.Decide(seen, w.settings())
	if fault := decidetest.Fault(d, seen, w.settings(), w.now); fault != "" {
		w.fails("%s", fault)
	}
	writes := l.Writes(d)
	for i, write := range writes {
		switch {
		case !w.calm && w.rnd.Likely(2):
			w.tells("the leader dies")
			w.lead()
			return
		case !w.calm && w.rnd.Likely(2):
			w.tells("the leader freezes")
			l.left, l.frozen = writes[i:], 1+w.rnd.IntN(10)
			return
		}
		write()
		w.step()
		if !w.calm && w.rnd.Likely(5) {
			w.any().act()
			w.step()
		}
	}
}

// waits continues while no other instance leads. After the lease, another one does, and what was
// left to write comes late: apply.Fence lets most of it not pass; where it does all the same, the
// versions that every write names have to do.
func (l *instance) waits() {
	if l.waited++; l.waited <= lease {
		l.thaws()
		return
	}
	l.stale = true
	l.w.former = append(l.w.former, l)
	l.w.lead()
}

func (l *instance) thaws() {
	if l.frozen--; l.frozen > 0 {
		return
	}
	writes := l.left
	l.left, l.waited = nil, 0
	for _, write := range writes {
		write()
		l.w.step()
	}
}

// Now is the life's time.
func (l *instance) Now() time.Time { return l.w.now }

// Reads adds whether policies are missing.
func (l *instance) Reads(s *decide.Seen) {
	if l.w.unguarded {
		s.PolicyProblem = "a policy is missing"
	}
}

// Lands judges what the API server is about to take.
func (l *instance) Lands(c rollout.Change) { l.w.lands(c) }

// Store stores it.
func (l *instance) Store(after *corev1.Node) *corev1.Node {
	l.w.Nodes.Put(after, l.w.Next())
	return after
}

// Landed holds because a write that changes nothing wakes every watcher for nothing.
func (l *instance) Landed(before, after *corev1.Node) { l.w.landed(before, after) }

// Withdrawn holds because kubelets need the class for every sandbox.
func (l *instance) Withdrawn() { l.w.withdrawn(l.stale) }

// Wrote notes that this round changed something.
func (l *instance) Wrote() { l.w.busy = true }

// Answered is false now and then: the write was made, and its answer is lost.
func (l *instance) Answered() bool { return l.w.calm || l.w.rnd.Likely(97) }

// Fails ends the test.
func (l *instance) Fails(format string, args ...any) { l.w.fails(format, args...) }
