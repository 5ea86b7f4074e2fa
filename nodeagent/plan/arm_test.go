// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// armed is a node whose CRI-O has been started with the drop-in, before anything was wanted.
func armed(t *testing.T) world {
	t.Helper()
	w := booted(nil)
	w.facts.Host.Armed = true
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.WriteDropIn}, done)
	assert.Equal(t, node.PhaseIdle, last.Phase, "the drop-in alone is no installation")
	w.startCRIO("c2")
	return w
}

func TestAnArmedNodeIsInstalledWithoutARestartOfCRIO(t *testing.T) {
	t.Parallel()
	w := armed(t)
	wanted := install("a")
	wanted.Grants = node.Grants{}
	w.facts.Intent = plan.Intent{Wanted: wanted, Shown: true}
	done, last := w.settle(t)
	assert.Equal(t, node.PhaseInstalled, last.Phase)
	assert.NotContains(t, done, plan.RestartCRIO)
	assert.NotContains(t, done, plan.WriteDropIn)
}

func TestARemovalLeavesAnArmedNodeItsDropIn(t *testing.T) {
	t.Parallel()
	w := removing(t)
	w.facts.Host.Armed = true
	done, last := w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Withdraw, plan.PointCurrent, plan.PointProof, plan.Unmount, plan.Clear}, done)
	assert.Equal(t, node.PhaseAbsent, last.Phase)
}

func TestAnArmedNodeTakesNoHandlerOver(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plan.Facts){
		"that another file names": func(f *plan.Facts) {
			f.Runtime.Conflicts = []plan.Conflict{{File: "/etc/crio/crio.conf.d/99", Key: "kata-oc"}}
		},
		"on a host that cannot run anything": func(f *plan.Facts) { f.Host.Problem = "the first boot has not ended" },
	} {
		w := booted(nil)
		w.facts.Host.Armed = true
		change(&w.facts)
		assert.Empty(t, plan.For(w.facts).Lines, name)
		assert.Empty(t, plan.Prepare(w.facts), name)
	}
}

// The controller cleans a node that reports an installation of nobody.
func TestANodeThatIsArmedNoMoreAsksWhatIsWanted(t *testing.T) {
	t.Parallel()
	w := armed(t)
	w.facts.Host.Armed = false
	assert.Equal(t, node.PhaseInstalling, plan.For(w.facts).Phase)
	w.facts.Intent = plan.Intent{Wanted: absent(), Shown: true}
	done, _ := w.settle(t)
	assert.Contains(t, done, plan.RemoveDropIn)
	w.facts.Intent.Shown, w.facts.Intent.Cleared = false, true
	_, last := w.settle(t)
	assert.Equal(t, node.PhaseIdle, last.Phase)
}
