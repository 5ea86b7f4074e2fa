// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// updating is a node that serves payload a, right before the proof of payload b.
func updating(t *testing.T) world {
	t.Helper()
	w := installed(t, "a")
	w.facts.Intent.Wanted, w.facts.Intent.Kept = install("b"), false
	for range 20 {
		next := plan.For(w.facts).Next()[0]
		if next.Kind == plan.Prove {
			w.slot(id("a")).Release, w.slot(id("b")).Release = "1.0", "2.0"
			return w
		}
		w.apply(t, next)
	}
	t.Fatal("it is never proved")
	return w
}

// fails is a proof of b that does not pass.
func (w *world) fails(words string, strained bool) {
	slot := w.slot(id("b"))
	slot.Failed = plan.AfterFailure(slot.Failed, w.facts.Runtime.Invocation, words, strained)
}

// ahead returns the kinds of the steps on the way to b.
func (w *world) ahead() (ahead []plan.Kind) {
	for _, s := range plan.For(w.facts).Steps() {
		ahead = append(ahead, s.Kind)
	}
	return ahead
}

func TestAPayloadIsGivenUpOnceItFailsTwiceAndTheOneThatServesPassesInBetween(t *testing.T) {
	t.Parallel()
	w := updating(t)
	again := []plan.Kind{plan.PointProof, plan.Prove, plan.Record, plan.PointCurrent}
	w.fails("the shim exited", false)
	require.Equal(t, append([]plan.Kind{plan.PointProof, plan.Control}, again...), w.ahead())
	control := plan.For(w.facts).Steps()[1]
	assert.Equal(t, plan.Step{Kind: plan.Control, Payload: payload("a"), Slot: id("a"), Object: id("b")}, control)
	w.apply(t, plan.For(w.facts).Steps()[0])
	w.apply(t, control)
	require.Equal(t, again, w.ahead(), "it is tried once more")
	w.apply(t, plan.For(w.facts).Steps()[0])

	w.fails("the shim exited again", false)
	last := plan.For(w.facts)
	assert.Empty(t, last.Steps())
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonPayloadGivenUp, last.Problem.Reason)
	assert.Equal(t, "payload 2.0 (sha256:bbbbbbbbbbbb) failed its proof twice and payload 1.0 (sha256:aaaaaaaaaaaa) passed it in between, "+
		"so it is given up until CRI-O starts again: the shim exited again", last.Problem.Message)
	assert.Equal(t, id("a"), w.facts.Slots.Current)
	_, serving := w.facts.Serving()
	assert.True(t, serving)

	w.startCRIO("c2")
	w.settle(t)
	assert.Equal(t, id("b"), w.facts.Slots.Current, "another CRI-O proves it anew")
}

func TestWhereTheOneThatServesFailsTooItIsTheHost(t *testing.T) {
	t.Parallel()
	w := updating(t)
	w.fails("no", false)
	w.slot(id("b")).Failed.Control, w.slot(id("b")).Failed.ControlWords = id("a"), "no /dev/kvm"
	last := plan.For(w.facts)
	assert.Contains(t, w.ahead(), plan.Prove, "it is tried again")
	assert.NotContains(t, w.ahead(), plan.Control)
	require.NotNil(t, last.Problem)
	assert.Equal(t, node.ReasonProvePayloadFailed, last.Problem.Reason)
	assert.Contains(t, last.Problem.Message, "neither payload 2.0 (sha256:bbbbbbbbbbbb) nor payload 1.0 (sha256:aaaaaaaaaaaa), which serves, passes its proof now")
	w.fails("no", false)
	assert.Equal(t, record.Failed{Invocation: "c1+", Times: 1, Words: "no"}, w.slot(id("b")).Failed, "what failed before does not count")
	assert.Contains(t, w.ahead(), plan.Control)
}

func TestWhatTheHostLacksCountsAtTheThirdTime(t *testing.T) {
	t.Parallel()
	w := updating(t)
	for range 2 {
		w.fails("cannot allocate memory", true)
		assert.NotContains(t, w.ahead(), plan.Control)
		assert.Contains(t, w.ahead(), plan.Prove)
	}
	w.fails("cannot allocate memory", true)
	assert.Contains(t, w.ahead(), plan.Control)
	assert.Equal(t, 1, w.slot(id("b")).Failed.Times)
}

func TestWithoutAnotherPayloadNoneIsGivenUp(t *testing.T) {
	t.Parallel()
	w := updating(t)
	w.facts.Slots.Current, w.facts.Store.Served = plan.Pending, nil
	for range 5 {
		w.fails("no", false)
	}
	assert.Contains(t, w.ahead(), plan.Prove)
	assert.Nil(t, plan.For(w.facts).Problem)
}

func TestAPayloadThatThisHostCannotRunAnyMoreIsNoControl(t *testing.T) {
	t.Parallel()
	w := updating(t)
	w.slot(id("a")).Verified.VM = true
	w.facts.Host.Check = withoutKVM()
	w.fails("no", false)
	assert.NotContains(t, w.ahead(), plan.Control)
}
