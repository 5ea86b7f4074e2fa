// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// updated is a node that serves the payloads one after the other.
func updated(t *testing.T, digits ...string) world {
	t.Helper()
	w := installed(t, digits[0])
	for _, digit := range digits[1:] {
		w.change(digit)
		w.settle(t)
	}
	return w
}

func (w *world) change(digit string) {
	w.facts.Intent.Wanted, w.facts.Intent.Kept = install(digit), false
}

func (w *world) digits() (digits []string) {
	for _, i := range w.facts.Store.Images {
		digits = append(digits, i.ID)
	}
	return digits
}

func TestTheFormerPayloadIsServedAgainWithoutAPull(t *testing.T) {
	t.Parallel()
	w := updated(t, "a", "b")
	assert.ElementsMatch(t, []string{"a", "b"}, w.digits())
	w.change("a")
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{
		plan.Keep, plan.Resume, plan.Record, plan.PointCurrent, plan.PointProof, // New pods have it before anything else is done.
		plan.VerifyAgain, plan.DropFindings, plan.KeepFindings, plan.Unmount,
	}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Equal(t, payload("b"), w.facts.Store.Served.Before, "and there is a way back from that, too")
}

func TestADiskNeedsRoomForTwoPayloads(t *testing.T) {
	t.Parallel()
	w := updated(t, "a", "b", "c")
	assert.ElementsMatch(t, []string{"b", "c"}, w.digits())
	w.change("a")
	var goes []plan.Step
	for _, s := range plan.For(w.facts).Tidy {
		if s.Kind == plan.DeleteImage {
			goes = append(goes, s)
		}
	}
	assert.Equal(t, []plan.Step{{Kind: plan.DeleteImage, Object: "b"}}, goes)
	assert.Equal(t, goes, plan.For(w.facts).Room, "which is done before the pull")
}

// A payload that has failed its proof makes way for the next one before that is pulled.
func TestAPayloadThatIsWantedNoMoreIsDeletedBeforeThePullOfAnother(t *testing.T) {
	t.Parallel()
	for serving, proof := range map[string]plan.Step{
		"a": {Kind: plan.PointProof, Payload: payload("a"), Slot: id("a")},
		"":  {Kind: plan.PointProof, Slot: plan.Pending},
	} {
		w := updating(t)
		if serving == "" {
			w.facts.Slots.Current, w.facts.Store.Served = plan.Pending, nil
			w.facts.Slots.All = slices.DeleteFunc(w.facts.Slots.All, func(s plan.Slot) bool { return s.ID == id("a") })
			w.facts.Store.Images = w.facts.Store.Images[1:]
		}
		w.change("c")
		w.facts.Intent.Kept = true
		require.Equal(t, []plan.Step{proof, {Kind: plan.Pull, Payload: payload("c")}}, plan.For(w.facts).Steps()[:2])
		w.apply(t, proof)
		for _, want := range []plan.Step{{Kind: plan.Unmount, Slot: id("b")}, {Kind: plan.DeleteImage, Object: "b"}} {
			p := plan.For(w.facts)
			assert.Equal(t, plan.Pull, p.Next()[0].Kind)
			require.Equal(t, []plan.Step{want}, p.Room)
			_, line := plan.Following(w.facts, plan.Step{Kind: plan.Keep})
			assert.Empty(t, line, "what is deleted is observed first")
			w.apply(t, want)
		}
		assert.Empty(t, plan.For(w.facts).Room)
	}
}

func TestWhatIsFetchedAheadOfTimeTakesThePlaceOfTheFormerPayload(t *testing.T) {
	t.Parallel()
	w := updated(t, "a", "b")
	w.facts.Intent.Wanted, w.facts.Intent.Stale = ahead("b", "c"), true
	w.settle(t)
	assert.ElementsMatch(t, []string{"b", "c"}, w.digits())
}

// What was found out about a slot is good for nothing once anything has changed that it depends on:
// the payload is verified and proved like any other one, and the findings are deleted.
func TestFindingsHoldForWhatTheyWereMadeWith(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *plan.Facts){
		"another boot":            func(f *plan.Facts) { f.Host.BootID = "b2" },
		"another kernel":          func(f *plan.Facts) { f.Host.Kernel = "6.13" },
		"another configuration":   func(f *plan.Facts) { f.Host.Settings = "memory" },
		"another agent":           func(f *plan.Facts) { f.Host.Build = "another" },
		"another start of CRI-O":  func(f *plan.Facts) { f.Runtime.Invocation = "c3" },
		"another image":           func(f *plan.Facts) { f.Store.Images[0].ID = "z" },
		"a proof of another time": func(f *plan.Facts) { f.Slots.Findings[0].Proved = record.Proved{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := updated(t, "a", "b")
			require.Len(t, w.facts.Slots.Findings, 1)
			w.knows["c3"] = true
			change(&w.facts)
			w.change("a")
			p := plan.For(w.facts)
			assert.Contains(t, p.Tidy, plan.Step{Kind: plan.DropFindings, Slot: id("a")})
			var kinds []plan.Kind
			for _, s := range p.Steps() {
				kinds = append(kinds, s.Kind)
			}
			assert.NotContains(t, kinds, plan.Resume)
			assert.Contains(t, kinds, plan.Verify)
			assert.Contains(t, kinds, plan.Prove)
		})
	}
}

func TestFindingsAreKeptOfWhatIsProvedAndStaysInTheStore(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world, former *plan.Slot){
		"it is not proved with this CRI-O":       func(_ *world, former *plan.Slot) { former.Proved = "c0" },
		"a proof of it has failed":               func(w *world, former *plan.Slot) { former.Failed.Invocation = w.facts.Runtime.Invocation },
		"its files have no identity":             func(_ *world, former *plan.Slot) { former.Verified.Identity = "" },
		"its content was not read in this mount": func(_ *world, former *plan.Slot) { former.Verified.Resumed = true },
		"its image is deleted":                   func(w *world, _ *plan.Slot) { w.facts.Intent.Wanted = ahead("b", "c") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := installed(t, "a")
			w.slot(id("a")).Holders = []string{"process 7"}
			w.change("b")
			w.settle(t)
			w.slot(id("a")).Holders = nil
			assert.Contains(t, plan.For(w.facts).Tidy, plan.Step{Kind: plan.KeepFindings, Slot: id("a")})
			change(&w, w.slot(id("a")))
			p := plan.For(w.facts)
			assert.NotContains(t, p.Tidy, plan.Step{Kind: plan.KeepFindings, Slot: id("a")})
			assert.Contains(t, p.Tidy, plan.Step{Kind: plan.Unmount, Slot: id("a")})
		})
	}
}

func TestAHandlerThatIsNamedAnewIsProvedFirst(t *testing.T) {
	t.Parallel()
	w := updated(t, "a", "b")
	w.facts.Intent.Wanted, w.facts.Intent.Kept = serving("a", "rs"), false
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep, plan.Resume, plan.PointProof, plan.Prove, plan.Record, plan.PointCurrent}, done[:6])
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}
