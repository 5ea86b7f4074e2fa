// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/rollout"
)

func TestRemovalWalksTheHandshake(t *testing.T) {
	t.Parallel()
	c := Config("c", Deleted)
	for name, x := range map[string]struct {
		node  facts.Node
		event string
		label rollout.Label
		clear bool
	}{
		"Absent is written":                 {Worker("w", Done(c)), rollout.EventRemove, rollout.LabelKept, false},
		"even to a dead node":               {Worker("w", Done(c), NotReady), rollout.EventRemove, rollout.LabelKept, false},
		"even in the middle of an install":  {Worker("w", Wanted(c), Reports(node.PhaseInstalling)), rollout.EventRemove, rollout.LabelKept, false},
		"no answer, no change":              {Worker("w", Done(c), Unwanted(c)), "", rollout.LabelKept, false},
		"bound pods keep the label":         {Worker("w", Ready, Unwanted(c), Reports(node.PhaseBlocked), Pods(2)), "", rollout.LabelKept, false},
		"without pods the label goes":       {Worker("w", Ready, Unwanted(c), Reports(node.PhaseRemoving)), rollout.EventWithdraw, rollout.LabelCleared, false},
		"then nothing until it is done":     {Worker("w", Unwanted(c), Reports(node.PhaseRemoving)), "", rollout.LabelKept, false},
		"done":                              {Worker("w", Unwanted(c), Reports(node.PhaseAbsent)), rollout.EventRemoved, rollout.LabelKept, true},
		"done at once":                      {Worker("w", Ready, Unwanted(c), Reports(node.PhaseAbsent)), rollout.EventRemoved, rollout.LabelCleared, true},
		"an Absent for an older id is none": {Worker("w", Ready, Reports(node.PhaseAbsent), Unwanted(c)), "", rollout.LabelKept, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := plan(c, x.node)
			if x.event == "" {
				assert.Empty(t, changes)
				return
			}
			require.Len(t, changes, 1)
			assert.Equal(t, x.event, changes[0].Event)
			assert.Equal(t, x.label, changes[0].Label)
			assert.Equal(t, x.clear, changes[0].ClearIntent)
			if x.event == rollout.EventRemove {
				assert.Equal(t, node.StateAbsent, changes[0].Intent.State)
				assert.Equal(t, c.UID, changes[0].Intent.Owner.UID)
				assert.NoError(t, changes[0].Intent.Validate())
			}
		})
	}
}

func TestDeletionDoesNotWaitForPause(t *testing.T) {
	t.Parallel()
	c := Config("c", Paused, Deleted)
	assert.Equal(t, []string{"w KataRemove"}, said(plan(c, Worker("w", Done(c)))))
}

func TestANodeThatLeavesIsRemovedWithoutTouchingTheOthers(t *testing.T) {
	t.Parallel()
	c := Config("c", Selects("kata", "yes"))
	assert.Equal(t, []string{"left KataRemove"}, said(plan(c, Worker("stays", With("kata", "yes"), Done(c)), Worker("left", Done(c)))))
}

func TestWhatNobodyWantsGoes(t *testing.T) {
	t.Parallel()
	gone, other := Config("gone"), Config("other", Selects("a", "b"))
	for name, x := range map[string]struct {
		node facts.Node
		want []string
	}{
		"its KataConfig is gone":          {Worker("w", Done(gone)), []string{"w KataRemove"}},
		"an installation without intent":  {Worker("w", Done(gone), Vanished), []string{"w KataRemove"}},
		"at work without intent":          {Worker("w", Wanted(gone), Reports(node.PhaseInstalling), Vanished), []string{"w KataRemove"}},
		"an intent that nobody can read":  {Worker("w", func(n *facts.Node) { n.HasIntent = true }), []string{"w KataRemove"}},
		"answered Absent":                 {Worker("w", Unwanted(gone), Reports(node.PhaseAbsent)), []string{"w KataRemoved"}},
		"an agent that idles":             {Worker("w", Idle), []string{}},
		"no agent":                        {Worker("w"), []string{}},
		"has answered, intent is cleared": {Worker("w", Reports(node.PhaseAbsent)), []string{}},
		"a label that was left behind":    {Worker("w", Idle, Ready), []string{"w KataRemove"}},
		"a label and nobody to ask":       {Worker("w", Ready), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, x.want, said(plan(other, x.node)))
		})
	}
}

func TestAbsentKeepsItsIDWhenItsKataConfigGoes(t *testing.T) {
	t.Parallel()
	gone := Config("gone")
	answered := Worker("w", Unwanted(gone), Reports(node.PhaseRemoving))
	assert.Empty(t, plan(Config("other", Selects("a", "b")), answered), "a second Absent would make the agent begin again")
}
