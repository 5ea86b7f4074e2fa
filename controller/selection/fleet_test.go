// SPDX-License-Identifier: Apache-2.0

package selection_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kata-node/kata-node/controller/facts"
	. "github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/selection"
)

// fleet hands a Fleet what changes.
type fleet struct {
	selection.Fleet
	configs []facts.Config
}

func (f *fleet) changes(nodes ...facts.Node) selection.Division {
	return f.changesPinned(nil, nodes...)
}

func (f *fleet) changesPinned(pinned map[string]bool, nodes ...facts.Node) selection.Division {
	changed := map[string]*facts.Node{}
	for i := range nodes {
		changed[nodes[i].Name] = &nodes[i]
	}
	return f.Divide(f.rules(), changed, pinned)
}

func (f *fleet) rules() selection.Rules {
	return selection.Rules{Configs: f.configs, Release: func(facts.Node) facts.Release { return facts.Release{} }}
}

func namesOf(members []selection.Member) []string {
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	return names
}

func TestMembersThatNeedNothingAreCounted(t *testing.T) {
	t.Parallel()
	c := Config("c")
	f := fleet{configs: []facts.Config{c}}
	d := f.changes(Worker("c", Idle), Worker("b", Done(c)), Worker("a", Done(c)), Worker("d"))
	assert.Equal(t, []string{"c", "d"}, namesOf(d.Pools[0].Members))
	assert.Equal(t, selection.Done{{Payload: PayloadA}: 2}, d.Pools[0].Done)
	assert.Equal(t, 4, d.Pools[0].Size())
	assert.True(t, d.Draws())

	d = f.changes(Worker("a", Done(c), Cordoned))
	assert.Equal(t, []string{"a", "c", "d"}, namesOf(d.Pools[0].Members))
	assert.Equal(t, 1, d.Pools[0].Done.Count())

	d = f.Divide(f.rules(), map[string]*facts.Node{"b": nil, "c": nil, "never seen": nil}, nil)
	assert.Equal(t, []string{"a", "d"}, namesOf(d.Pools[0].Members))
	assert.Empty(t, d.Pools[0].Done)
	_, found := f.Node("b")
	assert.False(t, found)
}

// A node that is in the ledger counts against maxUnavailable, whatever the cache has of it.
func TestPinnedNodesAreMembers(t *testing.T) {
	t.Parallel()
	c := Config("c")
	f := fleet{configs: []facts.Config{c}}
	f.changes(Worker("a", Done(c)), Worker("b", Done(c)))
	d := f.changesPinned(map[string]bool{"b": true, "deleted": true})
	assert.Equal(t, []string{"b"}, namesOf(d.Pools[0].Members))
	assert.Equal(t, 1, d.Pools[0].Done.Count())
	d = f.changes()
	assert.Empty(t, d.Pools[0].Members)
	assert.Equal(t, 2, d.Pools[0].Done.Count())
}

func TestTheFirstWorkerLabelMovesTheOthers(t *testing.T) {
	t.Parallel()
	c := Config("c")
	f := fleet{configs: []facts.Config{c}}
	plain := Without(selection.RoleWorker)
	f.changes(Worker("mine", plain, Done(c)), Worker("fresh", plain, Idle))
	d := f.changes(Worker("labelled", Idle))
	assert.Equal(t, []string{"labelled", "mine"}, namesOf(d.Pools[0].Members))
	assert.Equal(t, []string{"mine"}, d.Pools[0].Kept)
	assert.Empty(t, d.Unowned, "an idle node that no KataConfig selects needs nothing")
	d = f.Divide(f.rules(), map[string]*facts.Node{"labelled": nil}, nil)
	assert.Equal(t, []string{"fresh"}, namesOf(d.Pools[0].Members))
	assert.Equal(t, 1, d.Pools[0].Done.Count())
}

func TestOtherRulesPlaceEveryNodeAgain(t *testing.T) {
	t.Parallel()
	c := Config("c")
	f := fleet{configs: []facts.Config{c}}
	f.changes(Worker("a", Done(c)))
	rules := selection.Rules{Configs: []facts.Config{Config("c", Deleted)}, Release: f.rules().Release, Changed: true}
	d := f.Divide(rules, nil, nil)
	assert.Equal(t, []string{"a"}, namesOf(d.Pools[0].Leaving))
	assert.Zero(t, d.Pools[0].Size())
}

func TestMembersAreCountedUntilTheyAreToBePinged(t *testing.T) {
	t.Parallel()
	c := Config("c")
	f := fleet{configs: []facts.Config{c}}
	a, b := Worker("a", Done(c)), Worker("b", Done(c))
	interval := 24 * time.Hour
	first, second := a, b
	if b.NextPing(interval).Before(a.NextPing(interval)) {
		first, second = b, a
	}
	at := func(now time.Time, changed map[string]*facts.Node) selection.Pool {
		rules := f.rules()
		rules.PingInterval, rules.Now = interval, now
		return f.Divide(rules, changed, nil).Pools[0]
	}
	p := at(Noon(), map[string]*facts.Node{"a": &a, "b": &b})
	assert.Equal(t, 2, p.Done.Count())
	assert.Equal(t, first.NextPing(interval), p.NextPing)

	p = at(first.NextPing(interval), nil)
	assert.Equal(t, []string{first.Name}, namesOf(p.Members))
	assert.Equal(t, second.NextPing(interval), p.NextPing)

	answered := Worker(first.Name, Done(c), Ping(first.NextPing(interval)), Answers)
	p = at(first.NextPing(interval), map[string]*facts.Node{first.Name: &answered})
	assert.Equal(t, 2, p.Done.Count())
	assert.Equal(t, second.NextPing(interval), p.NextPing)

	p = at(second.NextPing(interval), map[string]*facts.Node{second.Name: nil})
	assert.Equal(t, 1, p.Done.Count())
	assert.Equal(t, answered.NextPing(interval), p.NextPing, "a deleted Node is not pinged")
}

func TestNodesThatChangeOftenCostNoPlaceEach(t *testing.T) {
	t.Parallel()
	c := Config("c")
	f := fleet{configs: []facts.Config{c}}
	rules := f.rules()
	rules.PingInterval, rules.Now = 24*time.Hour, Noon()
	for range 10_000 {
		n := Worker("a", Done(c))
		f.Divide(rules, map[string]*facts.Node{"a": &n}, nil)
	}
	assert.LessOrEqual(t, f.Places(), 128)
	assert.Equal(t, 1, f.Divide(rules, nil, nil).Pools[0].Done.Count())
}
