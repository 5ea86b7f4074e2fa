// SPDX-License-Identifier: Apache-2.0

// Package observe takes one look at the host and at what the API server said, and returns the facts that a plan rests on.
// It changes nothing.
package observe

import (
	"context"
	"fmt"

	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// Self is what does not change while the agent runs.
type Self struct {
	BootID, Architecture, Kernel string
	// CRIOUnit is the systemd unit of the container runtime.
	CRIOUnit string
	// AllowedPayloads are prefixes of references, by whole path components. Nil allows every payload.
	AllowedPayloads []string
}

// Told is what the API server last said of this node, as far as it can be reached.
type Told struct {
	// Known is whether the Node has been seen at all.
	Known bool
	// Intent is the annotation's value, empty where there is none.
	Intent string
	// Pods are the bound kata pods that have not ended, as namespace/name. They and Labelled count only when
	// PodsKnown.
	Pods      []string
	PodsKnown bool
	// Labelled is whether the Node carries the ready label.
	Labelled bool
	// Busy says what else works on the node.
	Busy string
}

// Observer looks.
type Observer struct {
	Host host.Host
	Self Self
}

// Look returns the facts of this moment. It fails only where not knowing would make a plan dangerous.
func (o Observer) Look(ctx context.Context, told Told) (plan.Facts, error) {
	f := plan.Facts{Cluster: cluster(told)}
	for _, look := range []func() error{
		func() (err error) { f.Intent, err = o.intent(told); return },
		func() (err error) { f.Host, err = o.host(); return },
		func() (err error) { f.Store, err = o.store(ctx); return },
		func() (err error) { f.Runtime, err = o.runtime(ctx); return },
		func() (err error) { f.Slots, err = o.slots(f.Runtime); return },
	} {
		if err := look(); err != nil {
			return f, fmt.Errorf("observing the host: %w", err)
		}
	}
	return f, nil
}

func cluster(told Told) plan.Cluster {
	return plan.Cluster{BoundPods: told.Pods, PodsKnown: told.PodsKnown, Labelled: told.Labelled, Busy: told.Busy}
}
