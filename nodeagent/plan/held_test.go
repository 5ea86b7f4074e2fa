// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// stranded is a pod's sandbox of which the shim has ended.
func stranded(f *plan.Facts) {
	f.Runtime.Sandboxes = []plan.Sandbox{{ID: "s1", Name: "ns/a", Handler: node.Handler, Ready: true}}
	f.Slots.Shimless = []string{"s1"}
}

func TestASwitchWaitsForSandboxesThatItsShimCannotReachAndNamesThem(t *testing.T) {
	t.Parallel()
	const cannot = " to end: the shim of payload 2.0 cannot reach sandboxes of payload 1.0"
	for name, c := range map[string]struct {
		change func(older *plan.Slot, f *plan.Facts)
		want   string
	}{
		"nothing runs": {func(*plan.Slot, *plan.Facts) {}, ""},
		"sandboxes": {func(older *plan.Slot, _ *plan.Facts) {
			older.Holders, older.Sandboxes = []string{"process 7 (shim)", "process 8 (shim)"}, []string{"ns/b", "ns/a"}
		}, "kata sandboxes ns/a, ns/b" + cannot},
		"many": {func(older *plan.Slot, _ *plan.Facts) {
			older.Holders, older.Sandboxes = []string{"process 7 (shim)"}, []string{"n/1", "n/2", "n/3", "n/4", "n/5", "n/6"}
		}, "kata sandboxes n/1, n/2, n/3, n/4, n/5 and 1 more" + cannot},
		"a shim that outlives its sandbox": {func(older *plan.Slot, _ *plan.Facts) {
			older.Holders = []string{"process 7 (shim)"}
		}, "process 7 (shim)" + cannot},
		"a CRI-O that does not answer": {func(older *plan.Slot, f *plan.Facts) {
			older.Holders, f.Runtime.Answers, f.Runtime.Silence = []string{"CRI-O, which does not answer"}, false, "timeout"
		}, "CRI-O to answer, to learn which kata sandboxes run (timeout)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := updating(t)
			w.slot(id("b")).Verified.ShimCompatibility = "2"
			c.change(w.slot(id("a")), &w.facts)
			p := plan.For(w.facts)
			kinds := w.ahead()
			assert.Equal(t, c.want == "", p.Steps()[len(kinds)-1].Kind == plan.PointCurrent, "%v", kinds)
			if c.want != "" {
				w.apply(t, plan.For(w.facts).Next()[0])
				assert.Equal(t, c.want, plan.For(w.facts).Wait)
			}
		})
	}
}

func TestWhoHoldsOlderPayloadsIsSaid(t *testing.T) {
	t.Parallel()
	pod := plan.Slot{Holders: []string{"process 7 (shim)"}, Sandboxes: []string{"ns/a"}}
	ending := plan.Slot{Holders: []string{"process 8 (shim)"}}
	forgotten := plan.Slot{Holders: []string{"process 9 (vi)"}, Strays: []string{"process 9 (vi)"}}
	for want, slots := range map[string][]plan.Slot{
		"":                               nil,
		"running sandboxes hold 2 older": {pod, pod},
		"processes of ended sandboxes hold 1 older":                            {ending},
		"processes of no sandbox hold 1 older":                                 {forgotten},
		"running sandboxes hold 1 older, processes of no sandbox hold 1 older": {pod, forgotten},
	} {
		w := installed(t, "a")
		for i, slot := range slots {
			slot.ID = string(rune('m' + i))
			slot.Payload = payload(string("bc"[i]))
			w.facts.Slots.All = append(w.facts.Slots.All, slot)
		}
		assert.Equal(t, want, plan.For(w.facts).Older)
	}
	w := installed(t, "a")
	w.facts.Runtime.Answers = false
	w.facts.Slots.All = append(w.facts.Slots.All, plan.Slot{ID: "m", Holders: []string{"CRI-O, which does not answer"}})
	assert.Equal(t, "CRI-O does not answer, and sandboxes may hold 1 older", plan.For(w.facts).Older)
}

// CRI-O panics over the stop of such a sandbox where it was started after the end of the shim.
func TestCRIOIsNotAskedForASandboxThatItCannotStop(t *testing.T) {
	t.Parallel()
	proof := plan.Sandbox{ID: "s1", Name: "kata-agent/proof", Handler: node.ProofHandler, Ready: true}
	for _, w := range []world{installed(t, "a"), removing(t)} {
		w.facts.Runtime.Sandboxes = []plan.Sandbox{proof}
		require.Contains(t, plan.For(w.facts).Tidy, plan.Step{Kind: plan.RemoveSandbox, Object: "s1"})
		w.facts.Slots.Shimless = []string{"s1"}
		p := plan.For(w.facts)
		assert.Empty(t, p.Tidy)
		assert.Contains(t, p.Wait+p.Stray, "kata sandbox kata-agent/proof (s1) to end: its shim has ended")
	}
}

func TestCRIOIsNotRestartedWhileItHasASandboxThatItCannotStop(t *testing.T) {
	t.Parallel()
	w := booted(install("a"))
	stranded(&w.facts)
	done, last := w.settle(t)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.Contains(t, last.Wait, "kata sandbox ns/a (s1) to end: its shim has ended")
	assert.Equal(t, node.PhaseInstalling, last.Phase, "no grant is asked for that could not be used at once")
	w.facts.Slots.Shimless = nil
	done, _ = w.settle(t)
	assert.Contains(t, done, plan.RestartCRIO)
}
