// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
)

type judged struct {
	name string
	Verdict
}

// tally has the verdicts of a pool's nodes, sorted by name.
type tally struct {
	nodes []judged
	// by are the nodes of each class.
	by [Failed + 1][]judged
	// done are complete nodes that are not in nodes.
	done        int
	next        time.Time
	unavailable []string
	// kept are members that are no workers any more.
	kept []string
}

func newTally(in Input) tally {
	j := judge{config: in.Pool.Config, deadline: in.Deadline, progress: in.Progress, halted: in.Halted, now: in.Now}
	t := tally{done: in.Pool.Done.Count(), unavailable: in.Unavailable, kept: in.Pool.Kept}
	t.nodes = make([]judged, 0, len(in.Pool.Members)+len(in.Pool.Leaving))
	for _, n := range in.Pool.Members {
		t.add(n.Name, j.member(n))
	}
	for _, n := range in.Pool.Leaving {
		t.add(n.Name, j.leaver(n))
	}
	byName := func(a, b judged) int { return cmp.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(t.nodes, byName) {
		slices.SortFunc(t.nodes, byName)
	}
	var sizes [Failed + 1]int
	for i := range t.nodes {
		sizes[t.nodes[i].Class]++
	}
	for c := range t.by {
		t.by[c] = make([]judged, 0, sizes[c])
	}
	for _, n := range t.nodes {
		t.by[n.Class] = append(t.by[n.Class], n)
	}
	return t
}

func (t *tally) add(name string, v Verdict) {
	t.nodes = append(t.nodes, judged{name, v})
	if !v.Until.IsZero() && (t.next.IsZero() || v.Until.Before(t.next)) {
		t.next = v.Until
	}
}

func (t tally) of(c Class) []judged { return t.by[c] }

// failure is the one reason of a pool whose nodes fail for nothing but the lack of a payload.
func (t tally) failure() facts.Reason {
	if slices.ContainsFunc(t.of(Failed), func(n judged) bool { return n.Reason != facts.ReasonNoPayloadForVersion }) {
		return facts.ReasonNodesFailed
	}
	return facts.ReasonNoPayloadForVersion
}

func (t tally) count(c Class) int32 {
	if c == Completed {
		return bounded(len(t.of(c)) + t.done)
	}
	return bounded(len(t.of(c)))
}

func (t tally) total() int { return len(t.nodes) + t.done }

func bounded(count int) int32 { return int32(min(count, math.MaxInt32)) } //nolint:gosec // it is bounded

// failedNodes shortens the sentences before it leaves out nodes: what a node reports is not trusted
// to be short.
func (t tally) failedNodes() []v1.FailedNode {
	broken := t.of(Failed)
	broken = broken[:min(len(broken), v1.MaxFailedNodes)]
	out := failures(broken, maxSentence)
	if len(fitting(out, maxFailedBytes)) < len(out) {
		out = failures(broken, shortSentence)
	}
	return fitting(out, maxFailedBytes)
}

func failures(nodes []judged, limit int) []v1.FailedNode {
	out := make([]v1.FailedNode, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, v1.FailedNode{Name: n.name, Error: fmt.Sprintf("%s (%s)", node.Line(n.Sentence, limit), n.Reason)})
	}
	return out
}

// waiting sums up by reason, in the order of the reasons' names.
func (t tally) waiting() []v1.WaitingNodes {
	counts, first := map[facts.Reason]int{}, map[facts.Reason][]judged{}
	for _, n := range t.of(Waiting) {
		if counts[n.Reason]++; counts[n.Reason] <= maxNames {
			first[n.Reason] = append(first[n.Reason], n)
		}
	}
	out := make([]v1.WaitingNodes, 0, len(counts))
	for reason, total := range counts {
		out = append(out, v1.WaitingNodes{
			Reason:  string(reason),
			Message: fmt.Sprintf("%s: %s", t.waitsFor(reason), names(first[reason], total)),
			Nodes:   bounded(total),
		})
	}
	slices.SortFunc(out, func(a, b v1.WaitingNodes) int { return cmp.Compare(a.Reason, b.Reason) })
	return out
}

// names lists the first of total nodes, each with what it has to say for itself.
func names(nodes []judged, total int) string {
	var out []string
	for _, n := range nodes[:min(len(nodes), maxNames)] {
		if n.Sentence != "" && n.Class == Waiting {
			out = append(out, fmt.Sprintf("%s (%s)", n.name, n.Sentence))
			continue
		}
		out = append(out, n.name)
	}
	return joined(out, total)
}

func (t tally) waitsFor(reason facts.Reason) string {
	switch reason { //nolint:exhaustive // the other reasons never make a node wait
	case facts.ReasonAgentMissing:
		return "no agent has reported, bring kata-agent.service to the node"
	case facts.ReasonNodeNotReady:
		return "the kubelet is not Ready"
	case facts.ReasonNodeCordoned:
		return "the node is cordoned"
	case facts.ReasonMachineConfigBusy:
		return "the machine-config operator works on the node or has given up on it, see its machine config pool"
	case facts.ReasonHeld:
		return "the annotation kataconfiguration.openshift.io/hold keeps the node as it is"
	case facts.ReasonQueued:
		return "other nodes go first"
	case facts.ReasonAwaitingGrant:
		if len(t.unavailable) == 0 {
			return "CRI-O has to be restarted once"
		}
		return "CRI-O has to be restarted once, and maxUnavailable is used up by " + list(t.unavailable)
	case facts.ReasonAwaitingReboot:
		if len(t.unavailable) == 0 {
			return "the node has to be rebooted"
		}
		return "the node has to be rebooted, and maxUnavailable is used up by " + list(t.unavailable)
	case facts.ReasonTooManyFailures:
		return "maxFailures nodes have failed: repair them, or name another payload"
	case facts.ReasonKataPodsRunning:
		return "kata pods are still bound, end them, and cordon a node to which new ones are scheduled"
	case facts.ReasonPaused:
		return "spec.config.paused is true"
	default:
		return "nothing is started for this KataConfig"
	}
}
