// SPDX-License-Identifier: Apache-2.0

// Package selection decides which KataConfig owns which node, and which intent the node should
// have. Divide is a pure function of what is in the cluster; a Fleet remembers what that was, and
// gives every node the place that Divide gives it.
package selection

import (
	"cmp"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
)

// Overlap is a set of nodes that two KataConfigs select.
type Overlap struct {
	// Other is the name of the other KataConfig.
	Other string
	// Owns is true in the pool that has the nodes.
	Owns  bool
	Nodes []string
}

// Pool is one KataConfig and its nodes, both sorted by name.
type Pool struct {
	Config facts.Config
	// Members are selected and belong to this KataConfig. A Fleet leaves out those in Done.
	Members []Member
	// Done are further members, which need nothing before NextPing; that is zero for never.
	Done     Done
	NextPing time.Time
	// Kept are the names of members that are no workers any more: a role label on some other node
	// has changed what a worker is in this cluster.
	Kept []string
	// Leaving are nodes that this KataConfig installed, and that no KataConfig owns any more.
	Leaving  []Member
	Overlaps []Overlap
}

// Clean is true when nothing on any node has to be removed on behalf of this KataConfig. Nodes that
// another KataConfig took over do not count.
func (p Pool) Clean() bool {
	return p.Size() == 0 && len(p.Leaving) == 0
}

// Size is how many members there are.
func (p Pool) Size() int { return len(p.Members) + p.Done.Count() }

// Division is every node's place.
type Division struct {
	// Pools are in order of age: the first one is the oldest.
	Pools []Pool
	// Unowned are nodes that belong to no KataConfig that exists. A Fleet leaves out those that
	// need nothing.
	Unowned []Member
}

// Divide gives every node its place. Where selectors overlap, the oldest KataConfig owns the node.
func Divide(configs []facts.Config, nodes []facts.Node) Division {
	d := divider{isWorker: workers(slices.ContainsFunc(nodes, isNamedWorker)), pools: pools(configs)}
	if !slices.IsSortedFunc(nodes, byName) {
		nodes = slices.SortedFunc(slices.Values(nodes), byName)
	}
	places := make([]place, 0, len(nodes))
	for _, n := range nodes {
		places = append(places, d.place(n))
	}
	d.gather(len(places), func(i int) *place { return &places[i] })
	return d.division()
}

func byName(a, b facts.Node) int { return cmp.Compare(a.Name, b.Name) }

// pools sorts by age; the UID decides between KataConfigs of the same second, so that the answer
// never depends on the order of a list.
func pools(configs []facts.Config) []Pool {
	sorted := slices.SortedFunc(slices.Values(configs), func(a, b facts.Config) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.UID, b.UID))
	})
	out := make([]Pool, 0, len(sorted))
	for _, c := range sorted {
		out = append(out, Pool{Config: c})
	}
	return out
}

// divider knows the rules, and collects nodes by their places.
type divider struct {
	isWorker func(facts.Node) bool
	pools    []Pool
	unowned  []Member
}

// none is where no pool is.
const none = -1

// place is where a node belongs. It depends on the node and on the rules, and on no other node.
type place struct {
	Member
	// pool owns the node, or has to clean it, which is leaving; or it is none.
	pool          int
	leaving, kept bool
	// overlaps are further pools that select the node.
	overlaps []int
}

func (d *divider) place(n facts.Node) place {
	pool := d.owner(n)
	if pool == none {
		return d.leave(n)
	}
	p := place{Member: newMember(n, Install(d.pools[pool].Config, n)), pool: pool, kept: !d.isWorker(n) && d.stays(n)}
	for other := range d.pools {
		if other != pool && d.selects(other, n) {
			p.overlaps = append(p.overlaps, other)
		}
	}
	return p
}

// gather takes so many nodes by name. It makes room for all members of a pool at once: where a
// slice grows with them, it leaves several times its size behind.
func (d *divider) gather(count int, at func(int) *place) {
	members := make([]int, len(d.pools))
	for i := range count {
		if p := at(i); p.pool != none && !p.leaving {
			members[p.pool]++
		}
	}
	for i := range d.pools {
		d.pools[i].Members = make([]Member, 0, members[i])
	}
	for i := range count {
		d.add(at(i))
	}
}

// add takes one node.
func (d *divider) add(p *place) {
	if p.pool == none {
		d.unowned = append(d.unowned, p.Member)
		return
	}
	owner := &d.pools[p.pool]
	if p.leaving {
		owner.Leaving = append(owner.Leaving, p.Member)
		return
	}
	owner.Members = append(owner.Members, p.Member)
	if p.kept {
		owner.Kept = append(owner.Kept, p.Name)
	}
	for _, i := range p.overlaps {
		other := &d.pools[i]
		owner.overlap(other.Config.Name, true, p.Name)
		other.overlap(owner.Config.Name, false, p.Name)
	}
}

func (d *divider) division() Division { return Division{Pools: d.pools, Unowned: d.unowned} }

// Draws is true while kata pods may be bound to some node with an agent.
func (d Division) Draws() bool {
	draws := func(m Member) bool { return m.Draws() }
	for _, p := range d.Pools {
		if p.Done.Count() > 0 || slices.ContainsFunc(p.Members, draws) || slices.ContainsFunc(p.Leaving, draws) {
			return true
		}
	}
	return slices.ContainsFunc(d.Unowned, draws)
}

// owner is the pool that the node belongs to. A KataConfig whose selector cannot be read keeps the
// nodes it has: an unreadable selector must not trigger a removal.
func (d *divider) owner(n facts.Node) int {
	if former := d.former(n); former != none && d.pools[former].Config.Selector == nil && !d.pools[former].Config.Deleting {
		return former
	}
	for i := range d.pools {
		if d.selects(i, n) {
			return i
		}
	}
	return none
}

func (d *divider) selects(pool int, n facts.Node) bool {
	return !d.pools[pool].Config.Deleting && d.matches(pool, n)
}

func (d *divider) matches(pool int, n facts.Node) bool {
	selector := d.pools[pool].Config.Selector
	return selector != nil && (d.isWorker(n) || d.stays(n)) && selector.Matches(n.Labels)
}

// stays is true for a node without any role that a KataConfig installed: the first role label on
// some other node changes what a worker is in this cluster, and takes nothing from the nodes that
// were chosen before.
func (d *divider) stays(n facts.Node) bool {
	former := d.former(n)
	return former != none && !d.pools[former].Config.Deleting && n.Intent.State == node.StateInstalled && plain(n)
}

// former is the pool whose intent the node carries, none when it has no intent or when that
// KataConfig was deleted.
func (d *divider) former(n facts.Node) int {
	if n.Intent == nil {
		return none
	}
	return slices.IndexFunc(d.pools, func(p Pool) bool { return p.Config.UID == n.Intent.Owner.UID })
}

// leave puts a node that no KataConfig owns into the pool that has to clean it: the one whose
// intent it carries, or, where the intent vanished from a node that reports an installation, a
// KataConfig on its way out that selected it.
func (d *divider) leave(n facts.Node) place {
	pool := d.former(n)
	for i := range d.pools {
		if pool == none && !n.HasIntent && n.Installation() && d.pools[i].Config.Deleting && d.matches(i, n) {
			pool = i
		}
	}
	if pool == none {
		return place{Member: newMember(n, clean(n)), pool: none}
	}
	return place{Member: newMember(n, Remove(d.pools[pool].Config, n)), pool: pool, leaving: true}
}

func (p *Pool) overlap(other string, owns bool, name string) {
	i := slices.IndexFunc(p.Overlaps, func(o Overlap) bool { return o.Other == other && o.Owns == owns })
	if i < 0 {
		p.Overlaps = append(p.Overlaps, Overlap{Other: other, Owns: owns})
		i = len(p.Overlaps) - 1
	}
	p.Overlaps[i].Nodes = append(p.Overlaps[i].Nodes, name)
}
