// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// serving names further handlers of a payload.
func serving(digit string, handlers ...string) *node.Intent {
	i := node.Intent{State: node.StateInstalled, Payload: payload(digit), Handlers: handlers}.Identify("node")
	return &i
}

// names lets a node that serves a payload serve further handlers of it, too.
func (w *world) names(digit string, handlers ...string) {
	w.facts.Intent.Wanted, w.facts.Intent.Kept = serving(digit, handlers...), false
}

func TestAFurtherHandlerIsProvedWithoutARestart(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	assert.Empty(t, w.facts.Usable())
	w.names("a", "rs")
	_, serves := w.facts.Serving()
	assert.True(t, serves, "as before")
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep, plan.Prove}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Equal(t, []string{"rs"}, w.facts.Usable())
}

func TestAPayloadServesWhenAllItsHandlersAreProved(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.names("b", "rs")
	current := w.facts.Slots.Current
	var proofs []string
	for range 50 {
		last := plan.For(w.facts)
		if len(last.Lines) == 0 {
			break
		}
		s := last.Next()[0]
		if s.Kind == plan.Prove {
			proofs = append(proofs, s.Object)
			assert.Equal(t, current, w.facts.Slots.Current)
			assert.Equal(t, node.PhaseInstalling, last.Phase)
		}
		w.apply(t, s)
	}
	assert.Equal(t, []string{"", "rs"}, proofs)
	assert.Equal(t, id("b"), w.facts.Slots.Current)
}

func TestAnotherCRIOProvesAllHandlersAgain(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.names("a", "rs")
	w.settle(t)
	w.startCRIO("c9")
	assert.Empty(t, w.facts.Usable())
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Prove, plan.Prove}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Equal(t, []string{"rs"}, w.facts.Usable())
}

func TestAHandlerThatThePayloadDoesNotOfferIsNamed(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"debug": "offers no handler kata-oc-debug: take debug out of spec.config.handlers",
		"clh":   "this agent knows no handler kata-oc-clh: bring it to the controller's version",
	} {
		w := installed(t, "a")
		w.names("a", name)
		_, last := w.settle(t)
		require.NotNil(t, last.Problem, name)
		assert.Equal(t, node.ReasonHandlerNotOffered, last.Problem.Reason)
		assert.Contains(t, last.Problem.Message, says)
		assert.Equal(t, node.PhaseInstalling, last.Phase)
		_, serves := w.facts.Serving()
		assert.True(t, serves, "kata-oc is served as before")
	}
}

func TestWhatAnOlderAgentHasLeftServesAndIsCompleted(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	slot := w.slot(id("a"))
	slot.Partial, slot.Verified.Handlers = true, nil
	w.older["c1+"] = true
	w.facts.Runtime.DropIn.Right = false
	assert.Empty(t, plan.Repair(w.facts.Slots), "current stays")
	done, last := w.settle(t)
	assert.ElementsMatch(t, []plan.Kind{plan.Configure, plan.WriteDropIn}, done, "nothing is restarted for what is not named")
	assert.Equal(t, node.PhaseInstalled, last.Phase)

	w.names("a", "rs")
	done, last = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep, plan.Verify, plan.Prove}, done)
	assert.Equal(t, node.PhaseAwaitingGrant, last.Phase, "CRI-O does not know the handler")
	_, serves := w.facts.Serving()
	assert.True(t, serves, "kata-oc is served meanwhile")

	taken := w.clone()
	taken.names("a")
	_, last = taken.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase, "no restart for what is named no longer")

	w.facts.Intent.Wanted.Grants.RestartCRIO = bootID
	done, last = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.RestartCRIO, plan.Prove, plan.Prove}, done)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.Equal(t, []string{"rs"}, w.facts.Usable())
}

// Whatever holds the node back: CRI-O is not given names of files that are not there.
func TestTheDropInIsWrittenOnceAllThatItNamesIsThere(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plan.Facts){
		"nothing new is wanted":       func(*plan.Facts) {},
		"another payload is wanted":   func(f *plan.Facts) { f.Intent.Wanted, f.Intent.Kept = install("b"), false },
		"a removal waits":             func(f *plan.Facts) { f.Intent.Wanted, f.Cluster.BoundPods = absent(), []string{"ns/pod"} },
		"the intent cannot be read":   func(f *plan.Facts) { f.Intent.Problem = "no JSON" },
		"there is no intent any more": func(f *plan.Facts) { f.Intent.Wanted = nil },
		"the host is unfit":           func(f *plan.Facts) { f.Host.Problem = "this is a live system" },
		"the node is armed":           func(f *plan.Facts) { f.Host.Armed, f.Intent.Wanted = true, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := installed(t, "a")
			slot := w.slot(id("a"))
			slot.Partial, slot.Verified.Handlers = true, nil
			w.facts.Runtime.DropIn.Right = false
			change(&w.facts)
			assert.Empty(t, plan.Prepare(w.facts), "it is not for the moment before CRI-O starts")
			done, _ := w.settle(t)
			require.Contains(t, done, plan.WriteDropIn)
			assert.Less(t, slices.Index(done, plan.Configure), slices.Index(done, plan.WriteDropIn))
			assert.NotEqual(t, -1, slices.Index(done, plan.Configure))
		})
	}
}

func TestASandboxOfAFurtherHandlerHoldsARemoval(t *testing.T) {
	t.Parallel()
	w := installed(t, "a")
	w.facts.Intent.Wanted = absent()
	w.facts.Runtime.Sandboxes = []plan.Sandbox{{ID: "s1", Name: "ns/a", Handler: node.FurtherHandler("rs"), Ready: true}}
	last := plan.For(w.facts)
	assert.Equal(t, node.PhaseBlocked, last.Phase)
	assert.Contains(t, last.Wait, "kata sandbox ns/a (s1) to end")
}
