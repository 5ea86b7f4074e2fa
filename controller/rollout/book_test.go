// SPDX-License-Identifier: Apache-2.0

package rollout_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
)

func version(v string) State { return func(n *facts.Node) { n.ResourceVersion = v } }

func entered(version string, ago time.Duration) ledger.Entry {
	return ledger.Entry{Kind: ledger.RestartCRIO, UID: "uid-of-a", Boot: "boot-1", Version: version, Since: Noon().Add(-ago)}
}

// What an entry means depends on whether the Node is the one that the grant was for: only a later
// one tells what became of it.
func TestAnEntryHoldsUntilALaterNodeSaysThatItIsOver(t *testing.T) {
	t.Parallel()
	c := Config("c")
	asks := Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), version("5"))
	given := Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), Granted, version("6"))
	for name, x := range map[string]struct {
		node  facts.Node
		entry ledger.Entry
		held  bool
	}{
		"the grant is on its way":              {asks, entered("5", time.Second), true},
		"the cache is behind":                  {asks, entered("9", time.Second), true},
		"it was never given":                   {asks, entered("4", time.Second), false},
		"nobody gives it any more":             {asks, entered("5", time.Hour), false},
		"no cache is that far behind":          {asks, entered("9", time.Hour), false},
		"the grant was given":                  {given, entered("5", time.Hour), true},
		"the node went on":                     {Worker("a", Done(c), Granted, version("7")), entered("5", time.Second), false},
		"it went on, and its kubelet not yet":  {Worker("a", Done(c), Granted, NotReady, Unchanged(time.Second), version("7")), entered("5", time.Second), true},
		"its kubelet stays away":               {Worker("a", Done(c), Granted, NotReady, Unchanged(time.Hour), version("7")), entered("5", time.Hour), false},
		"its kubelet is away in another boot":  {Worker("a", Done(c), Granted, NotReady, Booted, Unchanged(time.Second), version("7")), entered("5", time.Second), false},
		"the report of the boot before":        {Worker("a", Done(c), Granted, version("3")), entered("5", time.Second), true},
		"another Node of its name":             {Worker("a", version("7"), func(n *facts.Node) { n.UID = "another" }), entered("5", time.Second), false},
		"the Node is gone":                     {Worker("b"), entered("5", time.Second), true},
		"the Node is gone and does not return": {Worker("b"), entered("5", time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := ledger.Ledger{Version: "1", Entries: map[string]ledger.Entry{"a": x.entry}}
			changed := rollout.Open(l, []facts.Node{x.node}, limits(), Noon()).Changed()
			assert.Equal(t, x.held, changed == nil)
			if changed != nil {
				assert.Empty(t, changed.Entries)
				assert.Equal(t, "1", changed.Version)
			}
		})
	}
}

// decideBy returns what is entered and granted, with at most one node unavailable.
func decideBy(l ledger.Ledger, nodes ...facts.Node) (*ledger.Ledger, []string) {
	c := Config("c")
	c.MaxUnavailable = intstr.FromInt32(1)
	pool := selection.Divide([]facts.Config{c}, nodes).Pools[0]
	book := rollout.Open(l, nodes, limits(), Noon())
	pace := rollout.PaceOf(pool, book, limits(), Noon())
	return book.Changed(), said(rollout.Plan(pool, pace, Noon()))
}

func TestAGrantIsEnteredForTheNodeThatWasSeen(t *testing.T) {
	t.Parallel()
	c := Config("c")
	a := Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), version("5"))
	b := Worker("b", Wanted(c), Reports(node.PhaseAwaitingGrant), version("6"))
	l, done := decideBy(ledger.Ledger{}, a, b)
	require.NotNil(t, l)
	assert.Equal(t, map[string]ledger.Entry{"a": entered("5", 0)}, l.Entries)
	assert.Equal(t, []string{"a KataRestartGranted"}, done)

	t.Run("once", func(t *testing.T) {
		t.Parallel()
		l, done := decideBy(*l, a, b)
		assert.Nil(t, l, "the entry is there, the grant is not: it is given without another one")
		assert.Equal(t, []string{"a KataRestartGranted"}, done)
	})
	t.Run("later, by the same entry, which holds anew", func(t *testing.T) {
		t.Parallel()
		older := ledger.Ledger{Version: "1", Entries: map[string]ledger.Entry{"a": entered("5", time.Minute)}}
		l, done := decideBy(older, a, b)
		require.NotNil(t, l)
		assert.Equal(t, map[string]ledger.Entry{"a": entered("5", 0)}, l.Entries)
		assert.Equal(t, []string{"a KataRestartGranted"}, done)
	})
	t.Run("not by a cache that is behind", func(t *testing.T) {
		t.Parallel()
		late := ledger.Ledger{Version: "1", Entries: map[string]ledger.Entry{"a": entered("7", time.Second)}}
		l, done := decideBy(late, a, b)
		assert.Nil(t, l)
		assert.Empty(t, done)
	})
	t.Run("anew when the Node has changed", func(t *testing.T) {
		t.Parallel()
		later := a
		later.ResourceVersion = "8"
		l, done := decideBy(*l, later, b)
		require.NotNil(t, l)
		assert.Equal(t, map[string]ledger.Entry{"a": entered("8", 0)}, l.Entries)
		assert.Equal(t, []string{"a KataRestartGranted"}, done)
	})
	t.Run("by the next node when this one is done", func(t *testing.T) {
		t.Parallel()
		l, done := decideBy(*l, Worker("a", Done(c), Granted, Ready, version("9")), b)
		require.NotNil(t, l)
		assert.Contains(t, l.Entries, "b")
		assert.NotContains(t, l.Entries, "a")
		assert.Equal(t, []string{"b KataRestartGranted"}, done)
	})
}

// A node that is cut off with its grant would use it when it is back, also after the next one got
// what it had allowed. Whoever read it just before it was taken back has used it by the end of its
// entry.
func TestAGrantThatIsNotUsedInTimeIsTakenBackBeforeAnotherOneIsGiven(t *testing.T) {
	t.Parallel()
	c := Config("c")
	b := Worker("b", Wanted(c), Reports(node.PhaseAwaitingGrant), version("6"))
	cut := func(more ...State) facts.Node {
		return Worker("a", append([]State{Wanted(c), Reports(node.PhaseAwaitingGrant), NotReady}, more...)...)
	}
	back := func(n *facts.Node) { n.Ready = true }
	given := cut(Granted, Unchanged(time.Hour), version("5"))
	l, done := decideBy(ledger.Ledger{Version: "1", Entries: map[string]ledger.Entry{"a": entered("4", time.Hour)}}, given, b)
	require.NotNil(t, l)
	withdrawn := entered("5", 0)
	withdrawn.Kind = ledger.Withdrawn
	assert.Equal(t, map[string]ledger.Entry{"a": withdrawn}, l.Entries)
	assert.Equal(t, []string{"a KataGrantWithdrawn"}, done)

	for name, x := range map[string]struct {
		a    facts.Node
		done []string
	}{
		"again, by the same entry":        {given, []string{"a KataGrantWithdrawn"}},
		"it may have been read":           {cut(Unchanged(time.Minute), version("7")), []string{}},
		"it may have been read, and asks": {cut(Unchanged(time.Minute), back, version("8")), []string{}},
		"it was not":                      {cut(Unchanged(time.Hour), version("7")), []string{"b KataRestartGranted"}},
		"it was, and served its purpose":  {Worker("a", Done(c), version("9")), []string{"b KataRestartGranted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, done := decideBy(*l, x.a, b)
			assert.Equal(t, x.done, done)
		})
	}
}

// A leader may die between its entry and its grant, and another node may go before the next one
// leads.
func TestAnEnteredGrantWaitsWhileTooMuchIsUnavailable(t *testing.T) {
	t.Parallel()
	c := Config("c")
	a := Worker("a", Done(c), Ready, NeedsReboot, version("5"))
	entry := entered("5", time.Second)
	entry.Kind = ledger.Reboot
	l := ledger.Ledger{Version: "1", Entries: map[string]ledger.Entry{"a": entry}}
	_, done := decideBy(l, a, Worker("b", Idle))
	assert.Contains(t, done, "a KataRebootGranted")
	_, done = decideBy(l, a, Worker("b", Idle, NotReady))
	assert.NotContains(t, done, "a KataRebootGranted")
}

// A former leader may have entered a grant for each Node that asks for one.
func TestALostLedgerIsRestoredBeforeAnythingIsGranted(t *testing.T) {
	t.Parallel()
	c := Config("c")
	a := Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant), version("5"))
	b := Worker("b", Wanted(c), Reports(node.PhaseAwaitingGrant), version("6"))
	l, done := decideBy(ledger.Of(nil), a, b)
	assert.Nil(t, l)
	assert.Empty(t, done)

	restored := ledger.Ledger{Version: "1", Entries: map[string]ledger.Entry{}}
	for _, n := range []facts.Node{a, b, Worker("c", Idle), Worker("d", Done(c), Granted, Ready)} {
		rollout.Restore(restored, n, Noon())
	}
	assert.Equal(t, []string{"a", "b"}, slices.Sorted(maps.Keys(restored.Entries)))
	assert.Equal(t, entered("5", 0), restored.Entries["a"])
	l, done = decideBy(restored, a, b)
	assert.Nil(t, l)
	assert.Empty(t, done, "each may have a grant already")

	b.ResourceVersion = "7"
	l, done = decideBy(restored, a, b)
	require.NotNil(t, l)
	assert.NotContains(t, l.Entries, "b", "its grant would be refused")
	assert.Equal(t, []string{"a KataRestartGranted"}, done)
}

func TestAFullLedgerTakesNoMore(t *testing.T) {
	t.Parallel()
	c := Config("c")
	full := ledger.Ledger{Version: "1", Entries: map[string]ledger.Entry{}}
	for i := range ledger.Most {
		full.Entries["gone-"+string(rune(i+1000))] = entered("9", time.Second)
	}
	l, done := decideBy(full, Worker("a", Wanted(c), Reports(node.PhaseAwaitingGrant)))
	assert.Nil(t, l)
	assert.Empty(t, done)
}
