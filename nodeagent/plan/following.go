// SPDX-License-Identifier: Apache-2.0

package plan

import "slices"

// Following returns what may be carried out after a step that has succeeded, without another
// observation, and the facts as they are then. It is empty where the host has to be observed first.
//
// What may precede changes one record or one link, so that the facts are certain. What may follow
// changes nothing that others on the host would notice, but for new pods, which get the payload
// that the same observation found ready. All that takes away, restarts or evicts is decided by an
// observation of its own, and so is a pull that something is deleted for.
func Following(f Facts, done Step) (after Facts, line []Step) {
	after, certain := certainly(f, done)
	if !certain {
		return f, nil
	}
	next := For(after)
	if len(next.Lines) == 0 || !follows(next.Lines[0][0]) || next.Lines[0][0].Pulls() && len(next.Room) > 0 {
		return f, nil
	}
	return after, next.Lines[0]
}

// certainly returns the facts after a step, where all that it changes is known.
func certainly(f Facts, done Step) (Facts, bool) {
	switch {
	case done.Kind == Keep:
		f.Intent.Kept, f.Intent.Superseded, f.Intent.Stale = true, false, false
	case done.Kind == Record:
		next := f.Store.Served.Next(done.Payload, done.Slot)
		f.Store.Served = &next
	case done.Kind == PointCurrent && done.leads():
		f.Slots.Current = done.Slot
	case done.Kind == PointProof && done.leads():
		f.Slots.Proof = done.Slot
	default:
		return f, false
	}
	return f, true
}

func follows(s Step) bool {
	if s.Kind == PointCurrent || s.Kind == PointProof {
		return s.leads()
	}
	return slices.Contains([]Kind{Pull, Mount, Resume, Record}, s.Kind)
}

// leads is whether a link leads to a payload after this step.
func (s Step) leads() bool { return s.Slot != "" && s.Slot != Pending }
