// SPDX-License-Identifier: Apache-2.0

// Package selection decides which KataConfig owns which node, and which intent the node should
// have. It is a pure function of what is in the cluster; nothing is remembered between calls.
package selection

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

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
	// Members are selected and belong to this KataConfig.
	Members []Member
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
	return len(p.Members) == 0 && len(p.Leaving) == 0
}

// Division is every node's place.
type Division struct {
	// Pools are in order of age: the first one is the oldest.
	Pools []Pool
	// Unowned are nodes that belong to no KataConfig that exists.
	Unowned []Member
}

// Divide gives every node its place. Where selectors overlap, the oldest KataConfig owns the node.
func Divide(configs []facts.Config, nodes []facts.Node) Division {
	d := divider{isWorker: workers(nodes), pools: pools(configs)}
	if !slices.IsSortedFunc(nodes, byName) {
		nodes = slices.SortedFunc(slices.Values(nodes), byName)
	}
	for _, n := range nodes {
		d.place(n)
	}
	return Division{Pools: d.pools, Unowned: d.unowned}
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

type divider struct {
	isWorker func(facts.Node) bool
	pools    []Pool
	unowned  []Member
}

func (d *divider) place(n facts.Node) {
	owner := d.owner(n)
	if owner == nil {
		d.leave(n)
		return
	}
	owner.Members = append(owner.Members, newMember(n, Install(owner.Config, n)))
	if !d.isWorker(n) && d.stays(n) {
		owner.Kept = append(owner.Kept, n.Name)
	}
	for i := range d.pools {
		if other := &d.pools[i]; other != owner && d.selects(other, n) {
			owner.overlap(other.Config.Name, true, n.Name)
			other.overlap(owner.Config.Name, false, n.Name)
		}
	}
}

// owner is the pool that the node belongs to. A KataConfig whose selector cannot be read keeps the
// nodes it has: an unreadable selector must not trigger a removal.
func (d *divider) owner(n facts.Node) *Pool {
	if former := d.former(n); former != nil && former.Config.Selector == nil && !former.Config.Deleting {
		return former
	}
	for i := range d.pools {
		if d.selects(&d.pools[i], n) {
			return &d.pools[i]
		}
	}
	return nil
}

func (d *divider) selects(p *Pool, n facts.Node) bool {
	return !p.Config.Deleting && d.matches(p, n)
}

func (d *divider) matches(p *Pool, n facts.Node) bool {
	return p.Config.Selector != nil && (d.isWorker(n) || d.stays(n)) && p.Config.Selector.Matches(labels.Set(n.Labels))
}

// stays is true for a node without any role that a KataConfig installed: the first role label on
// some other node changes what a worker is in this cluster, and takes nothing from the nodes that
// were chosen before.
func (d *divider) stays(n facts.Node) bool {
	former := d.former(n)
	return former != nil && !former.Config.Deleting && n.Intent.State == node.StateInstalled && plain(n)
}

// former is the pool whose intent the node carries, nil when it has none or when that KataConfig
// was deleted.
func (d *divider) former(n facts.Node) *Pool {
	if n.Intent == nil {
		return nil
	}
	for i := range d.pools {
		if d.pools[i].Config.UID == n.Intent.Owner.UID {
			return &d.pools[i]
		}
	}
	return nil
}

// leave puts a node that no KataConfig owns into the pool that has to clean it: the one whose
// intent it carries, or, where the intent vanished from a node that reports an installation, a
// KataConfig on its way out that selected it.
func (d *divider) leave(n facts.Node) {
	p := d.former(n)
	for i := range d.pools {
		if p == nil && !n.HasIntent && n.Installation() && d.pools[i].Config.Deleting && d.matches(&d.pools[i], n) {
			p = &d.pools[i]
		}
	}
	if p == nil {
		d.unowned = append(d.unowned, newMember(n, clean(n)))
		return
	}
	p.Leaving = append(p.Leaving, newMember(n, Remove(p.Config, n)))
}

func (p *Pool) overlap(other string, owns bool, name string) {
	i := slices.IndexFunc(p.Overlaps, func(o Overlap) bool { return o.Other == other && o.Owns == owns })
	if i < 0 {
		p.Overlaps = append(p.Overlaps, Overlap{Other: other, Owns: owns})
		i = len(p.Overlaps) - 1
	}
	p.Overlaps[i].Nodes = append(p.Overlaps[i].Nodes, name)
}
