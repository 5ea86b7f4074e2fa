// SPDX-License-Identifier: Apache-2.0

// Package view is one controller instance's picture of the cluster's Nodes: what its cache has,
// what it wrote that the cache does not have yet, and since when each Node has been as it is. It
// reads no clock and makes no calls.
package view

import (
	"cmp"
	"maps"
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
	// known are the Nodes of the last pass, and order is them by name.
	known map[string]*known
	order []*known
}

// known is one Node at the last pass.
type known struct {
	// of is what the cache had, or what this instance wrote.
	of *facts.Node
	// stale and since are the Node's StaleSince and Since.
	stale, since time.Time
	// seen is true during a pass that has met the Node.
	seen bool
}

func (k *known) node() facts.Node {
	n := *k.of
	n.StaleSince, n.Since = k.stale, k.since
	return n
}

// Wrote remembers a Node as this instance has written it.
func (v *Nodes) Wrote(n *corev1.Node) {
	if v.written == nil {
		v.written = map[string]*facts.Node{}
	}
	written := facts.OfNode(n)
	v.written[n.Name] = &written
}

// Read returns the Nodes that the cache has by name, with since when each has been as it is.
func (v *Nodes) Read(cached []*facts.Node, now time.Time) []facts.Node {
	if v.known == nil {
		v.known = map[string]*known{}
	}
	for _, c := range cached {
		v.read(v.newest(c), now).seen = true
	}
	if len(v.known) > len(cached) {
		v.forget()
	}
	if len(v.order) != len(v.known) {
		v.order = slices.SortedFunc(maps.Values(v.known), func(a, b *known) int { return cmp.Compare(a.of.Name, b.of.Name) })
	}
	nodes := make([]facts.Node, 0, len(v.order))
	for _, k := range v.order {
		k.seen = false
		nodes = append(nodes, k.node())
	}
	maps.DeleteFunc(v.written, func(name string, _ *facts.Node) bool { return v.known[name] == nil })
	return nodes
}

// forget drops the Nodes that this pass has not seen.
func (v *Nodes) forget() {
	maps.DeleteFunc(v.known, func(_ string, k *known) bool { return !k.seen })
	v.order = nil
}

func (v *Nodes) read(newest *facts.Node, now time.Time) *known {
	k, found := v.known[newest.Name]
	switch {
	case !found:
		k = &known{of: newest, since: now}
		if !newest.SameBoot() {
			k.stale = now
		}
		v.known[newest.Name] = k
		v.order = nil
	case k.of != newest:
		before := k.node()
		k.of, k.stale, k.since = newest, staleSince(before, *newest, now), unchangedSince(before, *newest, now)
	}
	return k
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
