// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/payload/catalog"
)

// leader is one instance of the controller.
type leader struct {
	*decidetest.Instance

	w *world

	// catalog is the last good one, problem why the present document is none, read which that was.
	catalog *catalog.Catalog
	problem string
	read    int

	// left are the writes before which it was frozen; stale is true once another instance leads.
	left   []func()
	frozen int // rounds until it goes on
	waited int
	extra  int // passes that it takes after another instance has begun to lead
	stale  bool
}

// lead starts an instance, which has listed everything.
func (w *world) lead() {
	l := &leader{w: w}
	l.Instance = decidetest.Start(&w.Cluster, l)
	w.leader = l
}

func (w *world) settings() decide.Settings {
	return decide.Settings{
		DefaultPayload: factstest.PayloadA,
		AgentDeadline:  5 * time.Minute, ProgressDeadline: 30 * time.Minute, FailureGrace: 10 * time.Minute, PingInterval: day,
	}
}

// pass is one of this instance. It may die or be frozen before any of its writes, and others act
// between them.
func (l *leader) pass() {
	seen := l.Seen()
	d := l.Decide(seen, l.w.settings())
	l.w.same(d, decide.Decide(seen, l.w.settings(), l.w.now))
	if fault := decidetest.Fault(d, seen, l.w.settings(), l.w.now); fault != "" {
		l.w.fails("%s", fault)
	}
	writes := l.Writes(d)
	for i, write := range writes {
		switch {
		case !l.w.calm && l.w.rnd.Likely(2):
			l.w.tells("a leader dies")
			if l.extra = 0; !l.stale {
				l.w.lead()
			}
			return
		case !l.w.calm && l.w.rnd.Likely(2):
			l.w.tells("a leader freezes")
			l.left, l.frozen = writes[i:], 1+l.w.rnd.IntN(10)
			return
		}
		if l.w.ends(write) {
			return
		}
		l.w.step()
		if !l.w.calm && l.w.rnd.Likely(10) {
			l.w.host().act()
			l.w.accident()
			l.w.step()
		}
	}
}

// watch takes in some of what has happened.
func (l *leader) watch() {
	l.Follow(func(behind int) int {
		if behind == 0 || l.w.rnd.Likely(60) {
			return behind
		}
		return l.w.rnd.IntN(behind + 1)
	})
}

// Now is the world's time.
func (l *leader) Now() time.Time { return l.w.now }

// Reads adds catalogue, version and policies.
func (l *leader) Reads(s *decide.Seen) {
	if l.w.unguarded {
		s.PolicyProblem = "a policy is missing"
	}
	l.reads(s)
}

// Lands judges what the API server is about to take.
func (l *leader) Lands(c rollout.Change) { l.w.lands(l.w.named(c.Node.Name), c) }

// Store makes the kubelet's part of the Node as it is by now.
func (l *leader) Store(after *corev1.Node) *corev1.Node {
	h := l.w.named(after.Name)
	h.store(after)
	return h.object()
}

// Landed holds because a write that changes nothing wakes every watcher for nothing.
func (l *leader) Landed(before, after *corev1.Node) { l.w.changed(before, after) }

// Withdrawn holds because kubelets need the class for every sandbox.
func (l *leader) Withdrawn() { l.w.classGoes(l) }

// Wrote notes that this round changed something.
func (l *leader) Wrote() { l.w.busy = true }

// Answered is false now and then.
func (l *leader) Answered() bool { return l.w.answered() }

// Fails ends the test.
func (l *leader) Fails(format string, args ...any) { l.w.fails(format, args...) }
