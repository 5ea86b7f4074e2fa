// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	assert.Equal(t, []plan.Kind{plan.Withdraw, plan.PointCurrent, plan.PointProof, plan.RemoveDropIn, plan.Unmount, plan.Clear}, done)
	assert.Equal(t, node.PhaseAbsent, last.Phase)
}

func TestRemovalIsForgottenWhenTheControllerHasClearedTheNode(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.settle(t)
	w.facts.Intent.Shown, w.facts.Intent.Cleared = false, true
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
		"for a sandbox that CRI-O cannot stop": {
			stranded,
			"kata sandbox ns/a (s1) to end: its shim has ended, and CRI-O cannot stop a sandbox without its shim; if it stays, reboot this node",
		},
		"for a pod whose sandbox CRI-O cannot stop": {func(f *plan.Facts) {
			stranded(f)
			f.Cluster.BoundPods = []string{"ns/a"}
		}, "kata pods to end: ns/a. The shim of ns/a has ended, and CRI-O cannot stop a sandbox without its shim; if it stays, reboot this node"},
		"for the label": {func(f *plan.Facts) { f.Cluster.Labelled = true }, "the controller to take the ready label off this node, so that no kata pod can come"},
		"for a process": {func(f *plan.Facts) {
			f.Slots.All[0].Holders = []string{"process 7 (virtiofsd)"}
		}, "process 7 (virtiofsd), which still uses payload  in slot " + id("a")},
		"for many pods": {func(f *plan.Facts) { f.Cluster.BoundPods = []string{"n/1", "n/2", "n/3", "n/4", "n/5", "n/6", "n/7"} }, "kata pods to end: n/1, n/2, n/3, n/4, n/5 and 2 more"},
		"for a sandbox that may be ours": {func(f *plan.Facts) {
			f.Runtime.Sandboxes = []plan.Sandbox{{ID: "s1", Name: "ns/a", Ready: true, Unknown: "no such container"}}
		}, "sandbox ns/a (s1) to end: CRI-O does not tell its handler (no such container)"},
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
				assert.Empty(t, p.Lines, "nothing is touched while somebody needs it")
			}
		})
	}
}

func TestAProcessThatAloneKeepsAnOlderPayloadIsNamed(t *testing.T) {
	t.Parallel()
	const shim, forgotten = "process 7 (containerd-shim-kata-v2)", "process 8 (containerd-shim-kata-v2, of no sandbox that CRI-O lists)"
	for name, c := range map[string]struct {
		holders, strays []string
		want            string
	}{
		"a sandbox":                       {holders: []string{shim}},
		"a forgotten shim and a sandbox":  {holders: []string{shim, forgotten}, strays: []string{forgotten}},
		"a forgotten shim":                {[]string{forgotten}, []string{forgotten}, forgotten + " to end, which alone keeps payload  in slot " + id("a")},
		"a CRI-O that does not answer it": {holders: []string{forgotten, "CRI-O, which does not answer"}, strays: []string{forgotten}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := installed(t, "a")
			w.slot(id("a")).Holders, w.slot(id("a")).Strays = c.holders, c.strays
			assert.Empty(t, plan.For(w.facts).Stray, "what serves may be used")
			w.change("b")
			_, last := w.settle(t)
			assert.Equal(t, node.PhaseInstalled, last.Phase)
			assert.Equal(t, c.want, last.Stray)

			w.facts.Intent.Wanted = absent()
			last = plan.For(w.facts)
			assert.Contains(t, last.Wait, c.holders[0]+", which still uses payload  in slot "+id("a"))
			assert.Empty(t, last.Stray, "it is what the removal waits for")
		})
	}
}

func TestARemovalThatWaitsServesAgainAfterAReboot(t *testing.T) {
	t.Parallel()
	for name, kernel := range map[string]string{"same kernel": kernel, "another kernel": "6.13"} {
		w := removing(t)
		w.facts.Cluster.BoundPods = []string{"ns/long-running"}
		w.reboot()
		w.facts.Host.Kernel, w.facts.Cluster.PodsKnown = kernel, true
		w.startCRIO("c9")
		_, last := w.settle(t)
		assert.Equal(t, node.PhaseBlocked, last.Phase, name)
		assert.Equal(t, "kata pods to end: ns/long-running", last.Wait, name)
		_, serving := w.facts.Serving()
		assert.True(t, serving, "%s: the pods that are waited for start again", name)
	}
}

func TestARemovalThatWaitsGivesBackTheHandlersWithoutARestart(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Cluster.BoundPods = []string{"ns/long-running"}
	w.facts.Intent.Wanted.Grants.RestartCRIO = bootID
	w.facts.Runtime.DropIn = plan.DropIn{}
	w.startCRIO("c8")
	w.facts.Runtime.Lacks = "c8"
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.WriteDropIn}, done, "and no restart, whatever is granted")
	assert.Equal(t, node.PhaseBlocked, last.Phase)
	assert.Contains(t, last.Wait, "kata pods to end: ns/long-running. Those that do not run cannot start before the next start of CRI-O")

	w.startCRIO("c9")
	assert.True(t, w.knows["c9"], "the pods that are waited for start again")
	assert.Equal(t, "kata pods to end: ns/long-running", plan.For(w.facts).Wait)
}

func TestARemovalThatHasBegunDoesNotGoBackToServing(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.apply(t, plan.For(w.facts).Next()[0])
	w.reboot()
	_, last := w.settle(t)
	assert.Equal(t, node.PhaseBlocked, last.Phase)
	assert.Empty(t, w.facts.Slots.All)
}

func TestNothingIsRemovedThatLeavesACRIOWhichRefusesToStart(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Runtime.Conflicts = []plan.Conflict{{File: "/etc/crio/crio.conf.d/99-site.conf", Key: "crio.runtime.default_runtime", Default: true}}
	p := plan.For(w.facts)
	require.NotNil(t, p.Problem)
	assert.Equal(t, node.ReasonHandlerConflict, p.Problem.Reason)
	assert.Contains(t, p.Problem.Message, "/etc/crio/crio.conf.d/99-site.conf sets crio.runtime.default_runtime")
	assert.Empty(t, p.Lines)
}

func TestFinishedSandboxesBlockNothing(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Runtime.Sandboxes = []plan.Sandbox{{ID: "s1", Handler: node.Handler}, {ID: "s2", Handler: node.ProofHandler}}
	p := plan.For(w.facts)
	assert.Equal(t, plan.Withdraw, p.Next()[0].Kind)
	assert.Equal(t, []plan.Step{{Kind: plan.RemoveSandbox, Object: "s1"}, {Kind: plan.RemoveSandbox, Object: "s2"}}, p.Tidy)
	for len(p.Lines) > 0 {
		w.apply(t, p.Next()[0])
		p = plan.For(w.facts)
	}
	assert.Equal(t, plan.Plan{Phase: node.PhaseAbsent}, p)
}

// The shim of such a proof holds its payload, and CRI-O lists no sandbox that it belongs to.
func TestARemovalThatAnInterruptedProofHoldsUpReclaimsIt(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Runtime.Asked = []string{"proof-1", "proof-2"}
	w.facts.Slots.All[0].Holders = []string{"process 1 (containerd-shim-kata-v2)"}
	want := []plan.Step{{Kind: plan.Reclaim, Object: "proof-1"}, {Kind: plan.Reclaim, Object: "proof-2"}}
	blocked := plan.For(w.facts)
	assert.Equal(t, node.PhaseBlocked, blocked.Phase)
	assert.Equal(t, want, blocked.Tidy)

	w.facts.Runtime.Answers = false
	assert.Empty(t, plan.For(w.facts).Tidy, "a CRI-O that does not answer is not asked")
}

func TestRemovalOfNothingAnswersAtOnce(t *testing.T) {
	t.Parallel()
	w := booted(absent())
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep}, done)
	assert.Equal(t, node.PhaseAbsent, last.Phase)
}

// Whoever reads the answer clears the Node, or deletes the file, at once.
func TestARemovalIsAnsweredOnceTheDiskHasNoOtherIntent(t *testing.T) {
	t.Parallel()
	w := booted(absent())
	w.facts.Intent.Superseded = true
	first := plan.For(w.facts)
	assert.Equal(t, node.PhaseRemoving, first.Phase)
	assert.Equal(t, []plan.Step{{Kind: plan.Keep}}, first.Next())
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep}, done)
	assert.Equal(t, node.PhaseAbsent, last.Phase)
}

func TestRemovalThatVanishedGoesOn(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Intent.Shown, w.facts.Intent.Cleared = false, true
	done, last := w.settle(t)
	assert.Contains(t, done, plan.Clear)
	assert.Equal(t, node.PhaseIdle, last.Phase)
}
