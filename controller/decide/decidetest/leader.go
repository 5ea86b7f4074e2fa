// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"reflect"
	"slices"

	"github.com/kata-node/kata-node/controller/decide"
)

// lease is for how many rounds no other instance takes over from a frozen one.
const lease = 4

// fate is what happens to an instance.
type fate struct {
	// left are the writes before which it was frozen, for so many rounds.
	left   []func()
	frozen int
	// waited are the rounds since, and stale is true once another instance leads.
	waited int
	stale  bool
	// extra are the passes that it takes after another instance leads.
	extra int
}

// leads lets the leader take a pass, and those that only believe to be one.
func (l *Life) leads() {
	for _, f := range l.former {
		f.thaws()
	}
	l.former = slices.DeleteFunc(l.former, func(f *Instance) bool { return f.frozen <= -f.extra })
	switch leader := l.Leader; {
	case leader.frozen > 0 && leader.left != nil:
		leader.thawsInTime()
	case l.Calm:
		leader.CatchUp()
		leader.pass()
	default:
		leader.watches()
		if l.Likely(80) {
			leader.pass()
		}
	}
}

// watches takes in some of what has happened.
func (i *Instance) watches() {
	i.Follow(func(behind int) int {
		if behind == 0 || i.life.Likely(60) {
			return behind
		}
		return i.life.IntN(behind + 1)
	})
}

// pass is one of this instance. It may die or be frozen before any of its writes, and others act
// between them.
func (i *Instance) pass() {
	l := i.life
	seen := i.Seen()
	d := i.Decide(seen, l.sim.Settings())
	if whole := decide.Decide(seen, l.sim.Settings(), l.Now); !reflect.DeepEqual(whole, d) {
		// A decide.Cluster leaves out nothing that a decision depends on.
		l.Fails("what is decided by changes differs from what is decided by all Nodes:\n%+v\n%+v", d, whole)
	}
	if fault := Fault(d, seen, l.sim.Settings(), l.Now); fault != "" {
		l.Fails("%s", fault)
	}
	writes := i.Writes(d)
	for at, write := range writes {
		switch {
		case !l.Calm && l.Likely(2):
			l.Tells("a leader dies")
			if i.extra = 0; !i.stale {
				l.lead()
			}
			return
		case !l.Calm && l.Likely(2):
			l.Tells("a leader freezes")
			i.left, i.frozen = writes[at:], 1+l.IntN(10)
			return
		}
		if l.Kill.ends(write) {
			l.lead()
			return
		}
		l.Step()
		if !l.Calm && l.Likely(10) {
			l.sim.Meanwhile()
			l.Step()
		}
	}
}

// thaws continues a pass that was frozen. Once another instance may lead, apply.Fence lets no
// write pass; where it does all the same, the versions that every write names have to do, and those
// of further passes.
func (i *Instance) thaws() {
	if i.frozen--; i.frozen > 0 {
		return
	}
	if i.left == nil {
		i.watches()
		i.pass()
		return
	}
	for _, write := range i.left {
		write()
		i.life.Step()
	}
	i.left, i.waited = nil, 0
}

// thawsInTime continues while no other instance leads; after the lease, another instance does.
func (i *Instance) thawsInTime() {
	if i.waited++; i.waited <= lease {
		i.thaws()
		return
	}
	i.stale, i.extra = true, i.life.IntN(6)
	if i.life.late {
		i.life.former = append(i.life.former, i)
	}
	i.life.lead()
}

// answered is false now and then: a write was made, and its answer is lost.
func (l *Life) answered() bool { return !l.Kill.unanswered() && (l.Calm || l.Likely(97)) }
