// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"strconv"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/controller/ledger"
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
	if l.w.calm || l.w.likely(97) { // Else the answer is lost, and with it the right to go on.
		l.entered = object
		return
	}
	l.refused = true
}

// losesLedger deletes the object, as a person may: which nodes may be unavailable is on the nodes
// alone then.
func (w *world) losesLedger(*host) {
	if _, found := w.ledgers.now[ledger.Name]; found {
		w.ledgers.remove(ledger.Name)
		w.moved()
	}
}
