// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func removing(t *testing.T) world {
	t.Helper()
	w := installed(t, "a")
	w.facts.Intent.Wanted, w.facts.Intent.Kept = absent(), true
	return w
}

func TestRemovalTakesEverythingAwayAndNeedsNoRestart(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Runtime.Sandboxes = []plan.Sandbox{{ID: "s1", Handler: node.Handler}}
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.PointCurrent, plan.PointProof, plan.RemoveSandbox, plan.RemoveDropIn, plan.Unmount, plan.Clear}, done)
	assert.Equal(t, node.PhaseAbsent, last.Phase)
}

func TestRemovalIsForgottenWhenTheControllerHasClearedTheNode(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.settle(t)
	w.facts.Intent.Told, w.facts.Intent.Cleared = false, true
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Forget}, done)
	assert.Equal(t, node.PhaseIdle, last.Phase)
}

func TestRemovalWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*plan.Facts)
		wait   string
	}{
		"for bound pods":         {func(f *plan.Facts) { f.Cluster.BoundPods = []string{"ns/a", "ns/b"} }, "kata pods to end: ns/a, ns/b"},
		"to learn of bound pods": {func(f *plan.Facts) { f.Cluster.PodsKnown = false }, "the API server, to learn which kata pods are bound to this node"},
		"to learn of sandboxes":  {func(f *plan.Facts) { f.Runtime.Answers = false }, "CRI-O to answer, to learn which kata sandboxes run"},
		"for a sandbox that runs": {func(f *plan.Facts) {
			f.Runtime.Sandboxes = []plan.Sandbox{{ID: "s1", Name: "ns/a", Handler: node.Handler, Ready: true}}
		}, "kata sandbox ns/a (s1) to end"},
		"for nothing when all end": {func(*plan.Facts) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := removing(t)
			c.change(&w.facts)
			p := plan.For(w.facts)
			assert.Equal(t, c.wait, p.Wait)
			if c.wait != "" {
				assert.Equal(t, node.PhaseBlocked, p.Phase)
				assert.Empty(t, p.Steps, "nothing is touched while somebody needs it")
			}
		})
	}
}

func TestRemovalWaitsForAProcessThatStillUsesAVersion(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.slot(id("a")).Holders = []string{"process 7 (virtiofsd)"}
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.Unmount)
	assert.Contains(t, last.Wait, "process 7 (virtiofsd)")
}

func TestRemovalOfNothingAnswersAtOnce(t *testing.T) {
	t.Parallel()
	w := booted(absent())
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep}, done)
	assert.Equal(t, node.PhaseAbsent, last.Phase)
}

func TestRemovalThatVanishedGoesOn(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Intent.Told, w.facts.Intent.Cleared = false, true
	done, last := w.settle(t)
	assert.Contains(t, done, plan.Clear)
	assert.Equal(t, node.PhaseIdle, last.Phase)
}
