// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/record"
	"github.com/kata-node/kata-node/payload/manifest"
)

// A proof that fails may be the fault of the payload or of the host. The slot that serves is the
// control: where its proof passes between two failures of the candidate, it is the candidate.
const (
	// maxStrained is how many proofs in a row may lack something of the host before that counts
	// against the payload as any other failure: a guest that never answers looks like a slow host.
	maxStrained = 3
	// maxFailures is how often a payload fails before it is given up.
	maxFailures = 2
)

// AfterFailure returns what is known of a slot after one more failed proof of it. A control that
// has failed, too, makes all failures before it those of the host.
func AfterFailure(before record.Failed, invocation, words string, strained bool) record.Failed {
	after := before
	if after.Invocation != invocation || after.ControlWords != "" {
		after = record.Failed{Invocation: invocation}
	}
	after.Words = words
	if after.Strained++; strained && after.Strained < maxStrained {
		return after
	}
	after.Strained, after.Times = 0, after.Times+1
	return after
}

// failed is what is known of the candidate with the CRI-O that runs now.
func (w *way) failed() record.Failed {
	slot, _ := w.facts.Slots.find(w.id)
	if slot.Failed.Invocation != w.facts.Runtime.Invocation {
		return record.Failed{}
	}
	return slot.Failed
}

// givenUp reports whether the candidate is not proved again with this CRI-O.
func (w *way) givenUp() bool {
	f := w.failed()
	if f.Times < maxFailures || f.Control == "" || f.ControlWords != "" {
		return false
	}
	slot, _ := w.facts.Slots.find(w.id)
	control, _ := w.facts.Slots.find(f.Control)
	return !w.problem(Prove, node.ReasonPayloadGivenUp,
		fmt.Sprintf("%s failed its proof twice and %s passed it in between, so it is given up until CRI-O starts again: %s", slot.name(), control.name(), f.Words))
}

// compare plans the proof of the slot that serves, once the candidate has failed. Without one that
// serves, such as at a first installation, the candidate is tried again and again.
func (w *way) compare() (planned bool) {
	f := w.failed()
	control, _ := w.facts.Slots.find(w.facts.Slots.Current)
	switch {
	case f.Times == 0, control.ID == w.id, !w.comparable(control):
		return false
	case f.ControlWords != "":
		slot, _ := w.facts.Slots.find(w.id)
		w.problem(Prove, node.ReasonProvePayloadFailed,
			fmt.Sprintf("neither %s nor %s, which serves, passes its proof now, so the cause is this host: %s", slot.name(), control.name(), f.ControlWords))
		return false
	case f.Control != "":
		return false
	}
	if w.facts.Slots.Proof != control.ID {
		w.steps = append(w.steps, Step{Kind: PointProof, Payload: control.Payload, Slot: control.ID})
	}
	w.steps = append(w.steps, Step{Kind: Control, Payload: control.Payload, Slot: control.ID, Object: w.id})
	return true
}

// comparable reports whether a slot may pass its proof on this host.
func (w *way) comparable(s Slot) bool {
	return s.Ready() && w.equipped(s.ID) && w.facts.unfitFor(manifest.Requires{KVM: s.Verified.VM, OldestKernel: s.Verified.OldestKernel}) == ""
}
