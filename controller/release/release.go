// SPDX-License-Identifier: Apache-2.0

// Package release asks the catalogue which payload is for what each node runs. It is a pure
// function of the catalogue and the nodes.
package release

import (
	"cmp"
	"slices"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/payload/catalog"
)

// Desired is the OpenShift version that the cluster is on its way to. It never decides what a node
// gets: it is known hours before a node runs it.
type Desired struct {
	// Known is false while the cluster's version has not been read.
	Known bool
	// Version is empty in a cluster that has none.
	Version string
}

// Resolve returns the nodes with the catalogue's answer for each. Without a catalogue, they are as
// they were.
func Resolve(c *catalog.Catalog, desired Desired, nodes []facts.Node) []facts.Node {
	if c == nil {
		return nodes
	}
	r := New(c, desired)
	out := slices.Clone(nodes)
	for i := range out {
		out[i].Release = r.Release(out[i])
	}
	return out
}

type answer struct{ payload, problem string }

// Resolver asks once for nodes that run the same. It is for one goroutine at a time.
type Resolver struct {
	catalog *catalog.Catalog
	desired Desired
	known   map[catalog.Target]answer
}

// New returns a Resolver for a catalogue, nil for none.
func New(c *catalog.Catalog, desired Desired) *Resolver {
	return &Resolver{catalog: c, desired: desired, known: map[catalog.Target]answer{}}
}

// Release is the catalogue's answer for a node.
func (r *Resolver) Release(n facts.Node) facts.Release {
	if r.catalog == nil {
		return facts.Release{}
	}
	target := catalog.Target(n.Runs)
	now := r.resolve(target)
	out := facts.Release{Payload: now.payload, Problem: now.problem}
	switch {
	case !r.desired.Known && n.Intent != nil:
		out.Prefetch = n.Intent.Prefetch
	case r.desired.Version == "" || target.OpenShift == "" || !r.catalog.Has(catalog.OpenShift):
	default:
		target.OpenShift = r.desired.Version
		out.Prefetch = r.resolve(target).payload
	}
	if out.Prefetch == out.Payload {
		out.Prefetch = ""
	}
	return out
}

func (r *Resolver) resolve(t catalog.Target) answer {
	found, asked := r.known[t]
	if !asked {
		e, err := r.catalog.Resolve(t)
		found.payload = e.Image
		if err != nil {
			found.problem = node.Sentence(err.Error())
		}
		r.known[t] = found
	}
	return found
}

// Newer orders nodes by what they run, by OpenShift's version first: cmp.Compare of both. A version
// that is none is the oldest.
func Newer(a, b facts.Runs) int {
	return cmp.Or(compare(catalog.OpenShift, a.OpenShift, b.OpenShift), compare(catalog.Kubernetes, a.Kubernetes, b.Kubernetes))
}

func compare(axis catalog.Axis, a, b string) int {
	if a == b {
		return 0
	}
	va, errA := axis.Version(a)
	vb, errB := axis.Version(b)
	switch {
	case errA != nil && errB != nil:
		return cmp.Compare(a, b)
	case errA != nil:
		return -1
	case errB != nil:
		return 1
	default:
		return va.Compare(vb)
	}
}
