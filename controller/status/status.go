// SPDX-License-Identifier: Apache-2.0

// Package status adds up what a KataConfig's nodes report into the status that people read. It is a
// pure function of a pool, the previous status and the time; the same facts give the same status,
// byte for byte.
package status

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// Input is everything that a status is made from.
type Input struct {
	Pool     selection.Pool
	Previous v1.KataConfigStatus
	// Overhead is what RuntimeClass kata-oc charges.
	Overhead corev1.ResourceList
	// Deadline is how long an intent may go unanswered.
	Deadline time.Duration
	// Progress is how long a node may stay as it is.
	Progress time.Duration
	// Unavailable are the members that use up maxUnavailable.
	Unavailable []string
	// Halted are the payloads with which too many members have failed for anything new to be
	// started.
	Halted map[string]bool
	Now    time.Time
}

// Of returns the status, and when it has to be looked at again although nothing was written; zero
// if never.
func Of(in Input) (status v1.KataConfigStatus, next time.Time) {
	t := newTally(in)
	status = v1.KataConfigStatus{
		RuntimeClassName:     runtimeClassName(in.Pool.Config),
		KataImage:            target(in.Pool),
		Payloads:             payloads(in),
		Overhead:             in.Overhead,
		TotalNodesCount:      t.count(Completed) + t.count(InProgress) + t.count(Waiting) + t.count(Failed),
		CompletedNodesCount:  t.count(Completed),
		InProgressNodesCount: t.count(InProgress),
		WaitingNodesCount:    t.count(Waiting),
		FailedNodesCount:     t.count(Failed),
		FailedNodes:          t.failedNodes(),
		Waiting:              t.waiting(),
		Conflicts:            conflicts(in.Pool.Overlaps),
		ObservedGeneration:   in.Pool.Config.Generation,
	}
	status.Conditions = conditions(in, t)
	return status, t.next
}

func runtimeClassName(c facts.Config) string {
	if !c.Accepted || c.Refused != nil && c.Refused.Reason == facts.ReasonRuntimeClassConflict {
		return ""
	}
	return node.RuntimeClass
}

func conflicts(overlaps []selection.Overlap) []v1.Conflict {
	out := make([]v1.Conflict, 0, len(overlaps))
	for _, o := range overlaps {
		out = append(out, v1.Conflict{
			KataConfig: o.Other,
			Owns:       o.Owns,
			NodesCount: bounded(len(o.Nodes)),
			Nodes:      o.Nodes[:min(len(o.Nodes), maxNames)],
		})
	}
	slices.SortFunc(out, func(a, b v1.Conflict) int { return cmp.Compare(a.KataConfig, b.KataConfig) })
	return fitting(out, maxConflictBytes)
}
