// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/nodeagent/plan"
)

// chains takes steps until nothing is left to do, and returns those that follow each other without
// an observation. Tidy steps are left out.
func (w *world) chains(t *testing.T) (all [][]plan.Kind) {
	t.Helper()
	for range 100 {
		p := plan.For(w.facts)
		if len(p.Lines) == 0 {
			return all
		}
		line, chain := p.Lines[0], []plan.Kind{}
		for f := w.facts; len(line) > 0; {
			w.apply(t, line[0])
			chain = append(chain, line[0].Kind)
			f, line = plan.Following(f, line[0])
		}
		all = append(all, chain)
	}
	t.Fatalf("the plan never ends: %v", all)
	return nil
}

func TestARollBackTakesOneObservationAfterTheMount(t *testing.T) {
	t.Parallel()
	w := updated(t, "a", "b")
	w.change("a")
	assert.Equal(t, [][]plan.Kind{{plan.Keep, plan.Resume}, {plan.Record, plan.PointCurrent, plan.PointProof}}, w.chains(t))
}

func TestWhatFollowsAnInstallationsSteps(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	assert.Equal(t, [][]plan.Kind{
		{plan.Keep, plan.Pull},
		{plan.Mount},
		{plan.Verify},
		{plan.Configure},
		{plan.WriteDropIn},
		{plan.PointProof},
		{plan.Prove},
		{plan.RestartCRIO},
		{plan.Prove},
		{plan.Record, plan.PointCurrent},
	}, w.chains(t), "CRI-O is observed before it is asked for anything")
}

func TestNothingIsTakenAwayWithoutAnObservation(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Intent.Kept = false
	for _, chain := range w.chains(t) {
		assert.Len(t, chain, 1)
	}
	require.Empty(t, w.facts.Slots.All)

	w = installed(t, "a")
	_, line := plan.Following(w.facts, plan.Step{Kind: plan.PointCurrent, Slot: plan.Pending})
	assert.Empty(t, line)
}
