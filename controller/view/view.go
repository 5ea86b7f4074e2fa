// SPDX-License-Identifier: Apache-2.0

// Package view is one controller instance's picture of the cluster's Nodes: what its cache has,
// what it wrote that the cache does not have yet, and since when each Node has been as it is. It
// reads no clock and makes no calls.
package view

import (
	"maps"
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
	written map[string]*corev1.Node
	// known are the facts of the last pass: only what changed is read again.
	known map[string]facts.Node
}

// Wrote remembers a Node as this instance has written it.
func (v *Nodes) Wrote(n *corev1.Node) {
	if v.written == nil {
		v.written = map[string]*corev1.Node{}
	}
	v.written[n.Name] = facts.Trim(n)
}

// Read returns the facts of the Nodes that the cache has.
func (v *Nodes) Read(cached []*corev1.Node, now time.Time) []facts.Node {
	nodes, known := make([]facts.Node, 0, len(cached)), make(map[string]facts.Node, len(cached))
	for _, c := range cached {
		newest := v.newest(c)
		n, found := v.known[newest.Name]
		if !found || n.UID != string(newest.UID) || n.ResourceVersion != newest.ResourceVersion {
			before := n
			n = facts.OfNode(newest)
			n.StaleSince, n.Since = staleSince(before, n, now), unchangedSince(before, n, now)
		}
		known[n.Name] = n
		nodes = append(nodes, n)
	}
	v.known = known
	maps.DeleteFunc(v.written, func(name string, _ *corev1.Node) bool { _, found := known[name]; return !found })
	return nodes
}

// newest returns the cached Node, or what this instance wrote after it, and forgets the latter once
// the cache has caught up.
func (v *Nodes) newest(cached *corev1.Node) *corev1.Node {
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
