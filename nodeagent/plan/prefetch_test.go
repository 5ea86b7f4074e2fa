// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

func TestWhatIsFetchedAheadOfTimeIsTheLastOfAll(t *testing.T) {
	t.Parallel()
	w := booted(ahead("a", "b"))
	done, last := w.settle(t)
	assert.Equal(t, plan.PointCurrent, done[len(done)-2])
	assert.Equal(t, plan.Prefetch, done[len(done)-1])
	assert.Equal(t, node.PhaseInstalled, last.Phase)

	w.facts.Intent.Wanted, w.facts.Intent.Stale = ahead("a", "c"), true
	p := plan.For(w.facts)
	assert.Equal(t, node.PhaseInstalled, p.Phase, "it serves as before")
	assert.Equal(t, []plan.Step{{Kind: plan.Keep}, {Kind: plan.Prefetch, Payload: payload("c")}}, p.Steps())
	w.facts.Cluster.Busy = "the machine-config daemon"
	assert.Equal(t, []plan.Step{{Kind: plan.Keep}}, plan.For(w.facts).Steps(), "others work on the node")
	w.facts.Cluster.Busy = ""
	done, _ = w.settle(t)
	assert.Equal(t, []plan.Kind{plan.Keep, plan.Prefetch, plan.DeleteImage}, done, "what is no longer named goes")

	w.reboot()
	w.startCRIO("c2")
	for _, s := range append(plan.For(w.facts).Steps(), plan.For(w.facts).Tidy...) {
		assert.NotContains(t, []plan.Kind{plan.Prefetch, plan.DeleteImage}, s.Kind, "a boot without API server fetches and deletes nothing")
	}
	w.settle(t)
	w.facts.Intent.Wanted, w.facts.Intent.Shown, w.facts.Intent.Kept = install("c"), true, false
	done, last = w.settle(t)
	assert.NotContains(t, done, plan.Pull, "it is there when it is wanted")
	assert.Equal(t, node.PhaseInstalled, last.Phase)
}

// ahead is an intent with another payload to fetch ahead of time.
func ahead(digit, next string) *node.Intent {
	i := install(digit)
	i.Prefetch = payload(next)
	return i
}

// wantAhead names another image to fetch ahead of time, or none any more: the intent's id stays.
func (m *model) wantAhead() {
	if m.api.intent == nil || m.api.intent.State != node.StateInstalled {
		return
	}
	i := *m.api.intent
	i.Prefetch = ""
	if digit := string("abcd-"[m.random.IntN(5)]); digit != "-" && payload(digit) != i.Payload {
		i.Prefetch = payload(digit)
	}
	m.api.intent = &i
	m.note("EVENT to fetch ahead of time: %q", i.Prefetch)
}

// prefetch holds up nothing that a pod or the controller waits for.
func (m *model) prefetch(s plan.Step, f plan.Facts) string {
	p := plan.For(f)
	others := slices.DeleteFunc(p.Steps(), func(o plan.Step) bool { return o.Kind == plan.BuildAhead })
	if len(others) != 1 || p.Phase != node.PhaseInstalled || m.busy {
		return "PREFETCH ahead of other work"
	}
	m.pulled(digitOf(s.Payload))
	return ""
}

// mayKeep counts the images that a node at rest has a use for.
func (m *model) mayKeep(f plan.Facts) int {
	needed := map[string]bool{digitOf(f.Intent.Wanted.Payload): true, servedDigit(m): true}
	if f.Intent.Wanted.Prefetch != "" {
		needed[digitOf(f.Intent.Wanted.Prefetch)] = true
	} else if m.served != nil && m.served.Before != "" && m.served.Payload == f.Intent.Wanted.Payload {
		needed[digitOf(m.served.Before)] = true
	}
	for _, slot := range m.slots {
		needed[slot.Image] = true
	}
	delete(needed, "")
	return len(needed)
}
