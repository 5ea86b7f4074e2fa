// SPDX-License-Identifier: Apache-2.0

// Package view is one controller instance's picture of the cluster's Nodes: what its cache has,
// what it wrote that the cache does not have yet, and since when each Node has been as it is. It
// reads no clock and makes no calls.
package view

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
)

// Nodes is the picture. Its zero value is empty. It is for one goroutine at a time.
type Nodes struct {
	// written are Nodes that this instance wrote: without them, a pass could spend the same
	// unavailability twice.
	written map[string]*facts.Node
	// fresh are the names of those that Update has not returned yet.
	fresh map[string]bool
	// known are the Nodes of the last pass.
	known map[string]*known
}

// known is one Node at the last pass.
type known struct {
	// cached is what the cache had, and of is that or what this instance wrote after it.
	cached, of *facts.Node
	// stale and since are the Node's StaleSince and Since.
	stale, since time.Time
}

// last is what the cache had of a Node, nil for one that is not known.
func (k *known) last() *facts.Node {
	if k == nil {
		return nil
	}
	return k.cached
}

func (k *known) node() facts.Node {
	n := *k.of
	n.StaleSince, n.Since = k.stale, k.since
	return n
}

// Wrote remembers a Node as this instance has written it.
func (v *Nodes) Wrote(n *corev1.Node) {
	if v.written == nil {
		v.written, v.fresh = map[string]*facts.Node{}, map[string]bool{}
	}
	written := facts.OfNode(n)
	v.written[n.Name], v.fresh[n.Name] = &written, true
}

// Update takes in what the cache has of Nodes that have changed there, nil for deleted ones. It
// returns those that are not as they were, with since when each is as it is, and nil for deleted
// ones.
func (v *Nodes) Update(cached map[string]*facts.Node, now time.Time) map[string]*facts.Node {
	changed := map[string]*facts.Node{}
	for name, c := range cached {
		v.update(name, c, now, changed)
	}
	for name := range v.fresh {
		if _, done := cached[name]; !done {
			v.update(name, v.known[name].last(), now, changed)
		}
	}
	clear(v.fresh)
	return changed
}

// Refresh does the same with everything that the cache has.
func (v *Nodes) Refresh(cached []*facts.Node, now time.Time) map[string]*facts.Node {
	all := make(map[string]*facts.Node, len(cached))
	for name := range v.known {
		all[name] = nil
	}
	for _, c := range cached {
		all[c.Name] = c
	}
	return v.Update(all, now)
}

// Read returns the Nodes that the cache has by name, with since when each has been as it is.
func (v *Nodes) Read(cached []*facts.Node, now time.Time) []facts.Node {
	v.Refresh(cached, now)
	return v.All()
}

// All returns the known Nodes by name.
func (v *Nodes) All() []facts.Node {
	nodes := make([]facts.Node, 0, len(v.known))
	for _, k := range v.known {
		nodes = append(nodes, k.node())
	}
	slices.SortFunc(nodes, func(a, b facts.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes
}

func (v *Nodes) update(name string, cached *facts.Node, now time.Time, changed map[string]*facts.Node) {
	k := v.known[name]
	if cached == nil {
		delete(v.written, name)
		if k != nil {
			delete(v.known, name)
			changed[name] = nil
		}
		return
	}
	newest := v.newest(cached)
	if k != nil && k.of == newest {
		k.cached = cached
		return
	}
	next := &known{cached: cached, of: newest, since: now}
	switch {
	case k != nil:
		next.stale, next.since = staleSince(k.node(), *newest, now), unchangedSince(k.node(), *newest, now)
	case !newest.SameBoot():
		next.stale = now
	}
	if v.known == nil {
		v.known = map[string]*known{}
	}
	n := next.node()
	v.known[name], changed[name] = next, &n
}

// newest returns the cached Node, or what this instance wrote after it, and forgets the latter once
// the cache has caught up.
func (v *Nodes) newest(cached *facts.Node) *facts.Node {
	written, found := v.written[cached.Name]
	if !found {
		return cached
	}
	order, err := resourceversion.CompareResourceVersion(written.ResourceVersion, cached.ResourceVersion)
	if err == nil && order > 0 && written.UID == cached.UID {
		return written
	}
	delete(v.written, cached.Name)
	return cached
}

// staleSince uses the controller's clock, so the clocks of nodes do not matter.
func staleSince(before, n facts.Node, now time.Time) time.Time {
	switch {
	case n.SameBoot():
		return time.Time{}
	case !before.StaleSince.IsZero() && before.UID == n.UID && before.BootID == n.BootID:
		return before.StaleSince
	default:
		return now
	}
}

// unchangedSince uses the controller's clock, too. Its own restart begins anew, which only prolongs
// deadlines.
func unchangedSince(before, n facts.Node, now time.Time) time.Time {
	if !before.Since.IsZero() && before.UID == n.UID && progressOf(before) == progressOf(n) {
		return before.Since
	}
	return now
}

// progress is what changes when a node gets further. Texts are not part of it: an error that has
// another port number in it at each try would never come to its deadline.
type progress struct {
	ready, cordoned, reboot     bool
	boot, unreadable            string
	intent, prefetch            string
	grants                      node.Grants
	answers, phase, payload     string
	reportedBoot, step, failure string
}

func progressOf(n facts.Node) progress {
	p := progress{ready: n.Ready, cordoned: n.Cordoned, boot: n.BootID, unreadable: n.ReportProblem}
	if n.Intent != nil {
		p.intent, p.prefetch, p.grants = n.Intent.ID, n.Intent.Prefetch, n.Intent.Grants
	}
	if r := n.Report; r != nil {
		p.answers, p.phase, p.payload, p.reportedBoot = r.IntentID, string(r.Phase), r.Payload, r.BootID
		p.reboot = r.RebootRequired
		if r.Error != nil {
			p.step, p.failure = r.Error.Step, r.Error.Reason
		}
	}
	return p
}
