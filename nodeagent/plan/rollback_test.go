// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
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
	assert.NotContains(t, done, plan.Pull)
	assert.Contains(t, done, plan.Prove)
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
	assert.Equal(t, []plan.Step{{Kind: plan.DeleteImage, Object: "b"}}, goes, "a pull for which there is no room gets some")
}

func TestWhatIsFetchedAheadOfTimeTakesThePlaceOfTheFormerPayload(t *testing.T) {
	t.Parallel()
	w := updated(t, "a", "b")
	w.facts.Intent.Wanted, w.facts.Intent.Stale = ahead("b", "c"), true
	w.settle(t)
	assert.ElementsMatch(t, []string{"b", "c"}, w.digits())
}
