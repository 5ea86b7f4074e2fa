// SPDX-License-Identifier: Apache-2.0

// Package observe takes one look at the host and at what the API server said, and returns the facts
// that a plan rests on. It changes nothing.
package observe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// Observer looks.
type Observer struct {
	Host host.Host
	Self host.Identity
	// Now is the clock, that of the host where it is nil.
	Now func() time.Time
}

func (o Observer) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// Look returns the facts of this moment. It fails only where not knowing would make a plan
// dangerous.
func (o Observer) Look(ctx context.Context, shown cluster.State) (plan.Facts, error) {
	f := plan.Facts{At: o.now(), Cluster: seen(shown)}
	for _, look := range []func() error{
		func() (err error) { f.Intent, err = o.intent(shown); return },
		func() error { f.Host = o.host(); return nil },
		func() (err error) { f.Host.RebootRequired, err = o.rebootRequired(); return },
		func() (err error) { f.Rebooted, err = record.LoadRebooted(o.Host.Files); return },
		func() (err error) { f.Store, err = o.store(ctx); return },
		func() (err error) { f.Runtime, err = o.runtime(ctx); return },
		func() error {
			f.Cluster.BoundPods = append(f.Cluster.BoundPods, running(shown, f.Runtime)...)
			return nil
		},
		func() (err error) { f.Slots, err = o.slots(f.Runtime); return },
		func() (err error) { f.Packages, err = o.packages(ctx, shown, f.Slots); return },
		func() error { return o.Check(ctx, &f.Host, f.Runtime) },
	} {
		if err := look(); err != nil {
			return f, fmt.Errorf("observing the host: %w", err)
		}
	}
	return f, nil
}

// Early returns the facts of the moment before CRI-O starts: links, slots without their holders,
// and CRI-O's configuration in its usual places. It asks neither a service nor the store nor CRI-O,
// and so it is quick enough.
func (o Observer) Early() (f plan.Facts, err error) {
	f.Host.Armed = o.Self.Arm && !o.exists(liveSystem) && !o.exists(firstBoot)
	if f.Slots, err = o.Linked(); err != nil {
		return f, fmt.Errorf("observing links and mounts: %w", err)
	}
	if f.Runtime.DropIn, err = o.dropIn(); err != nil {
		return f, fmt.Errorf("observing the drop-in: %w", err)
	}
	o.configuration(&f.Runtime, 0)
	return f, nil
}

// running returns the kata pods that CRI-O runs, as namespace/name, where no API server knows of
// pods.
func running(shown cluster.State, r plan.Runtime) (pods []string) {
	for _, s := range r.Sandboxes {
		if shown.Alone && s.Ready && slices.Contains(node.PodHandlers(), s.Handler) {
			pods = append(pods, s.Name)
		}
	}
	slices.Sort(pods)
	return pods
}

func seen(shown cluster.State) plan.Cluster {
	return plan.Cluster{
		Alone: shown.Alone, BoundPods: shown.Pods, PodsKnown: shown.PodsKnown, Labelled: shown.Labelled, Busy: shown.Busy, Unguarded: shown.Unguarded,
		Cordoned: shown.Cordoned, CordonedIn: shown.CordonedIn, Evictable: shown.Evictable, Ending: shown.Ending,
		Kubelet: record.Kubelet(shown.Kubelet),
	}
}
