// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"strconv"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/rollout"
)

// ledger is the newest that this instance knows of, as package controller reads it.
func (l *leader) ledger() ledger.Ledger {
	seen := l.ledgers.has[ledger.Name]
	if l.entered != nil && (seen == nil || later(l.entered, seen)) {
		return ledger.Of(l.entered)
	}
	return ledger.Of(seen)
}

func later(a, b *corev1.ConfigMap) bool {
	one, errA := strconv.Atoi(a.ResourceVersion)
	other, errB := strconv.Atoi(b.ResourceVersion)
	return errA == nil && errB == nil && one > other
}

// enter replaces the ledger that the decision was made from, and no other one.
func (l *leader) enter(entries ledger.Ledger) {
	present, found := l.w.ledgers.now[ledger.Name]
	if found != (entries.Version != "") || found && present.ResourceVersion != entries.Version {
		l.refused, l.entered = true, nil
		return
	}
	object, err := entries.Object("kata-node")
	require.NoError(l.w.t, err)
	l.w.busy = true
	l.w.ledgers.put(object, l.w.next())
	l.entered = nil
	if l.w.answered() { // Else the answer is lost, and with it the right to go on.
		l.entered = object
		return
	}
	l.refused = true
}

// restores reads the Nodes at one time and writes the ledger at another one.
func (l *leader) restores() []func() {
	restored := ledger.Ledger{Entries: map[string]ledger.Entry{}}
	found := true
	return []func(){
		func() {
			var present *corev1.ConfigMap
			if present, found = l.w.ledgers.now[ledger.Name]; found && !ledger.Of(present).Lost {
				l.entered = present
				return
			}
			found = false
			if present != nil {
				restored.Version = present.ResourceVersion
			}
			for _, name := range sorted(l.w.nodes.now) {
				rollout.Restore(restored, facts.OfNode(l.w.nodes.now[name]), l.w.now)
			}
		},
		func() {
			if !found {
				l.enter(restored)
			}
		},
	}
}

// losesLedger deletes or spoils the object, as a person may.
func (w *world) losesLedger(*host) {
	present, found := w.ledgers.now[ledger.Name]
	switch {
	case !found:
	case w.likely(70):
		w.ledgers.remove(ledger.Name)
	default:
		spoiled := present.DeepCopy()
		spoiled.Data = map[string]string{"w0": "{"}
		w.ledgers.put(spoiled, w.next())
	}
}
