// SPDX-License-Identifier: Apache-2.0

// Package cluster is everything that the agent needs of the API server, as a port. nodeclient is
// its adapter.
package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/kata-node/kata-node/api/node"
)

// API is one Node as the API server shows it, and the one write that an agent makes.
type API interface {
	// State returns what the API server last said. It asks nothing.
	State() State
	// Reported returns the report that the Node carries, the zero value where it has none that can
	// be read.
	Reported() node.Report
	// Publish writes report and condition in one patch, unless the Node says the same already.
	Publish(ctx context.Context, r node.Report, c Condition, now time.Time) error
}

// Drain takes a node out of service for a reboot, and back into it.
type Drain interface {
	// Cordon makes the Node unschedulable and marks it with the boot, in one write. One that is
	// unschedulable already stays as it is, without a mark.
	Cordon(ctx context.Context, boot string) error
	// Uncordon makes a Node schedulable that carries the mark, and takes the mark away.
	Uncordon(ctx context.Context) error
	// Evict asks for the eviction of everything that a reboot must not end unasked. The error names
	// the pods whose disruption budget, or anything else, forbids it at this moment.
	Evict(ctx context.Context) error
	// Vacant returns an error that names the pods which a reboot would end unasked. It asks the API
	// server, not what its watch has seen, after a scheduler has had the time to see the cordon.
	Vacant(ctx context.Context) error
}

// ErrUnknownNode is returned while the Node has not been seen: there is nothing to write to.
var ErrUnknownNode = errors.New("the Node is not known yet")

// State is what the API server last said of this node, as far as it can be reached.
type State struct {
	// Known is whether the Node has been seen at all.
	Known bool
	// Alone is whether the node has no controller and no API server: its pods are those that CRI-O
	// runs.
	Alone bool
	// Problem says why the intent cannot be read, where that is known to last.
	Problem string
	// Intent is the annotation's value, empty where there is none.
	Intent string
	// Pods are the bound pods of our handler that have not ended, as namespace/name. They and
	// Labelled count only when PodsKnown: all of it has been seen, and the API server answers.
	Pods      []string
	PodsKnown bool
	// Labelled is whether the Node carries the ready label.
	Labelled bool
	// Unguarded is whether everybody who may write Nodes may write intents, because the admission
	// policies are known not to be in force.
	Unguarded bool
	// Busy says what else works on the node.
	Busy string
	// Operated is whether the machine-config operator manages the node, Complaint what its daemon
	// says where it has given up.
	Operated  bool
	Complaint string
	// Cordoned is whether the Node is unschedulable, and CordonedIn the boot in which this node's
	// agent made it so, empty where it did not.
	Cordoned   bool
	CordonedIn string
	// Evictable are the pods that a reboot has to evict first, and Ending those that are on their
	// way out, as namespace/name. They count only when PodsKnown.
	Evictable, Ending []string
	// Kubelet is what the kubelet says of this node, the zero value where there is no Node.
	Kubelet Kubelet
}

// Kubelet is what the kubelet of a node says on the Node.
type Kubelet struct {
	// Ready is the condition of that name, and Heartbeat when the kubelet has last confirmed it, in
	// whole seconds of the node's clock; zero where it never has.
	Ready     bool
	Heartbeat time.Time
	// Resources are how many pods may use of each extended resource, such as the devices of a
	// device plugin. Those of which there are none may be missing.
	Resources map[string]int64
}

// Condition is the Node condition that mirrors a report for people; schedulers and controllers do
// not look at it.
type Condition struct {
	// Present is false for a node on which nothing is installed or wanted: it has no condition at
	// all.
	Present bool
	// Ready is whether new pods are served by a proved payload.
	Ready           bool
	Reason, Message string
}
