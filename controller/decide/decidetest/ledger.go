// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/rollout"
)

// ledger is the newest that this instance knows of, as package controller reads it.
func (i *Instance) ledger() ledger.Ledger {
	cached := i.Ledgers.Has[ledger.Name]
	if i.entered != nil && (cached == nil || later(i.entered, cached)) {
		return ledger.Of(i.entered)
	}
	return ledger.Of(cached)
}

func later(a, b *corev1.ConfigMap) bool {
	one, errA := strconv.Atoi(a.ResourceVersion)
	other, errB := strconv.Atoi(b.ResourceVersion)
	return errA == nil && errB == nil && one > other
}

// enter replaces the ledger that the decision was made from, and no other one. Where the answer is
// lost, so is the right to give what is entered.
func (i *Instance) enter(entries ledger.Ledger) {
	present, found := i.life.Ledgers.Now[ledger.Name]
	i.refused, i.entered = true, nil
	if found != (entries.Version != "") || found && present.ResourceVersion != entries.Version {
		return
	}
	object, err := entries.Object("kata-node")
	if err != nil {
		i.life.Fails("entering a grant: %v", err)
	}
	i.life.Busy = true
	i.life.Ledgers.Put(object, i.life.Next())
	if i.life.answered() {
		i.refused, i.entered = false, object
	}
}

// restores reads the Nodes at one time and writes the ledger at another one.
func (i *Instance) restores() []func() {
	restored := ledger.Ledger{Entries: map[string]ledger.Entry{}}
	found := true
	return []func(){
		func() {
			var present *corev1.ConfigMap
			if present, found = i.life.Ledgers.Now[ledger.Name]; found && !ledger.Of(present).Lost {
				i.entered = present
				return
			}
			found = false
			if present != nil {
				restored.Version = present.ResourceVersion
			}
			for _, name := range Names(i.life.Nodes.Now) {
				rollout.Restore(restored, facts.OfNode(i.life.Nodes.Now[name]), i.life.Now)
			}
		},
		func() {
			if !found {
				i.enter(restored)
			}
		},
	}
}
