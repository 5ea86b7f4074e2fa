// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"maps"
	"slices"
	"time"

	"github.com/kata-node/kata-node/controller/facts"
)

// Fleet divides the nodes of a cluster as Divide does, again and again. It places the nodes that
// have changed since the last time, and keeps the places of all others. Members that need nothing
// are only counted, so the cost depends on how many nodes have changed or need something, and not
// on how many there are. Its zero value has no nodes.
type Fleet struct {
	nodes map[string]*entry
	// open are the nodes that need something, or that are pinned, by name.
	open []*entry
	// rules have the pools without their nodes, and done counts what is left out of open for each.
	rules divider
	done  []Done
	// pings are when members in done are to be pinged, for each pool.
	pings []pings
	// named counts the nodes with the worker's role label.
	named  int
	pinned map[string]bool
}

// entry is one node.
type entry struct {
	node *facts.Node
	// place is nil where the node needs nothing.
	place *place
	// counted is the pool whose Done counts the node, or none. due is when it is to be pinged then,
	// zero for never.
	counted int
	due     time.Time
}

// Rules are what a place depends on, in addition to the node.
type Rules struct {
	Configs []facts.Config
	// Release is the catalogue's answer.
	Release func(facts.Node) facts.Release
	// PingInterval is the longest time between two pings of a node, 0 for none.
	PingInterval time.Duration
	// Changed is true where any of this is not as it was the last time.
	Changed bool
	// Now is when this is.
	Now time.Time
}

// Divide takes in the nodes that have changed, nil for deleted ones. Those that are pinned, by
// name, are in the Division whatever they need. It holds until the next call.
func (f *Fleet) Divide(rules Rules, changed map[string]*facts.Node, pinned map[string]bool) Division {
	named := f.named > 0
	due := f.pin(pinned, f.take(changed))
	if rules.Changed || f.done == nil || named != (f.named > 0) {
		f.restart(rules.Configs)
		due = slices.Collect(maps.Values(f.nodes))
	}
	for i := range f.pings {
		due = append(due, f.pings[i].due(rules.Now)...)
	}
	before := len(f.open)
	for _, e := range due {
		f.put(e, rules)
	}
	opened := len(f.open) > before
	f.open = slices.DeleteFunc(f.open, func(e *entry) bool { return e.place == nil })
	if opened {
		slices.SortFunc(f.open, func(a, b *entry) int { return byName(*a.node, *b.node) })
	}
	return f.division()
}

// Node returns a node as it was taken in last.
func (f *Fleet) Node(name string) (facts.Node, bool) {
	e, found := f.nodes[name]
	if !found {
		return facts.Node{}, false
	}
	return *e.node, true
}

// take returns the nodes that have to be placed.
func (f *Fleet) take(changed map[string]*facts.Node) []*entry {
	if f.nodes == nil {
		f.nodes = map[string]*entry{}
	}
	due := make([]*entry, 0, len(changed))
	for name, n := range changed {
		e, found := f.nodes[name]
		if found {
			f.uncount(e)
			f.named -= count(isNamedWorker(*e.node))
		}
		switch {
		case n == nil && found:
			e.place = nil
			delete(f.nodes, name)
			continue
		case n == nil:
			continue
		case !found:
			e = &entry{counted: none}
			f.nodes[name] = e
		}
		e.node = n
		f.named += count(isNamedWorker(*n))
		due = append(due, e)
	}
	return due
}

// pin adds the nodes that are pinned now and were not before, or the other way round.
func (f *Fleet) pin(pinned map[string]bool, due []*entry) []*entry {
	for _, sets := range [][2]map[string]bool{{pinned, f.pinned}, {f.pinned, pinned}} {
		for name := range sets[0] {
			if e := f.nodes[name]; e != nil && !sets[1][name] {
				due = append(due, e)
			}
		}
	}
	f.pinned = pinned
	return due
}

// restart forgets every place.
func (f *Fleet) restart(configs []facts.Config) {
	f.rules = divider{isWorker: workers(f.named > 0), pools: pools(configs)}
	f.done, f.pings = make([]Done, len(f.rules.pools)), make([]pings, len(f.rules.pools))
	for i := range f.done {
		f.done[i] = Done{}
	}
	for _, e := range f.nodes {
		e.counted = none
	}
}

// put gives a node its place.
func (f *Fleet) put(e *entry, rules Rules) {
	f.uncount(e)
	wasOpen := e.place != nil
	n := *e.node
	n.Release = rules.Release(n)
	p := f.rules.place(n)
	e.place = &p
	switch {
	case f.pinned[n.Name]:
	case p.idle():
		e.place = nil
	case p.done(f.rules.pools):
		e.due = f.pingDue(p, rules.PingInterval)
		if !e.due.IsZero() && !rules.Now.Before(e.due) {
			break
		}
		e.place, e.counted = nil, p.pool
		f.done[p.pool].add(served(n), 1)
		f.pings[p.pool].add(e)
	}
	if e.place != nil && !wasOpen {
		f.open = append(f.open, e)
	}
}

// pingDue is zero in a pool that pings none of its members.
func (f *Fleet) pingDue(p place, interval time.Duration) time.Time {
	if !f.rules.pools[p.pool].Config.Working() {
		return time.Time{}
	}
	return p.PingDue(interval)
}

func (f *Fleet) uncount(e *entry) {
	if e.counted != none {
		f.done[e.counted].add(served(*e.node), -1)
		e.counted = none
	}
}

func (f *Fleet) division() Division {
	d := divider{pools: slices.Clone(f.rules.pools)}
	for i := range d.pools {
		d.pools[i].Done, d.pools[i].NextPing = f.done[i], f.pings[i].next()
	}
	d.gather(len(f.open), func(i int) *place { return f.open[i].place })
	return d.division()
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
