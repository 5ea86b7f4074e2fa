// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// verdicts of a whole KataConfig: one line of the truth table in docs/status.md.
type line struct {
	inProgress, completed, failed bool
	reason                        facts.Reason
	message                       string
}

// conditions returns all three. Times move only where a status does.
func conditions(in Input, t tally) []metav1.Condition {
	l := lineOf(in, t)
	message := node.Line(l.message, maxCondition)
	out := slices.Clone(in.Previous.Conditions)
	set := func(kind string, status bool, reason facts.Reason) {
		meta.SetStatusCondition(&out, metav1.Condition{
			Type:               kind,
			Status:             boolStatus(status),
			Reason:             string(reason),
			Message:            message,
			ObservedGeneration: in.Pool.Config.Generation,
			LastTransitionTime: metav1.NewTime(in.Now),
		})
	}
	set(v1.ConditionInProgress, l.inProgress, l.reason)
	set(v1.ConditionCompleted, l.completed, l.reason)
	set(v1.ConditionFailed, l.failed, failedReason(l))
	return slices.DeleteFunc(out, func(c metav1.Condition) bool {
		return c.Type != v1.ConditionInProgress && c.Type != v1.ConditionCompleted && c.Type != v1.ConditionFailed
	})
}

func failedReason(l line) facts.Reason {
	if l.failed {
		return l.reason
	}
	return facts.ReasonNoFailure
}

func boolStatus(status bool) metav1.ConditionStatus {
	if status {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// lineOf is the truth table. The first line that fits holds.
func lineOf(in Input, t tally) line {
	c, moving := in.Pool.Config, t.count(InProgress)+t.count(Waiting) > 0
	lost := lostNodes(in)
	switch {
	case c.Deleting:
		return line{inProgress: moving, failed: t.count(Failed) > 0, reason: facts.ReasonRemoving, message: t.details(fmt.Sprintf("%d nodes left to clean", t.total()))}
	case c.Refused != nil:
		return line{failed: true, reason: c.Refused.Reason, message: c.Refused.Message}
	case t.count(Failed) > 0:
		return line{inProgress: moving && !c.Paused, failed: true, reason: t.failure(), message: t.progress()}
	case lost != "":
		return line{inProgress: moving && !c.Paused, failed: true, reason: facts.ReasonOverlappingSelector, message: lost}
	case c.CatalogProblem != "":
		return line{inProgress: moving && !c.Paused, failed: true, reason: facts.ReasonCatalogUnreadable, message: c.CatalogProblem + "; " + t.progress()}
	case c.ClassProblem != "":
		return line{inProgress: moving && !c.Paused, failed: true, reason: facts.ReasonRuntimeClassConflict, message: c.ClassProblem + "; " + t.progress()}
	case c.AliasProblem != "":
		return line{inProgress: moving && !c.Paused, failed: true, reason: facts.ReasonRuntimeClassAliasConflict, message: c.AliasProblem + "; " + t.progress()}
	case t.total() == 0:
		return line{completed: true, reason: facts.ReasonNoMatchingNodes, message: "kataConfigPoolSelector matches no worker"}
	case moving && c.Paused:
		return line{reason: facts.ReasonPaused, message: "paused; " + t.progress()}
	case moving:
		return line{inProgress: true, reason: movingReason(in, t), message: t.progress()}
	case len(t.kept) > 0:
		return line{completed: true, reason: facts.ReasonWorkerDefinitionChanged, message: t.progress()}
	default:
		return line{completed: true, reason: facts.ReasonCompleted, message: t.progress()}
	}
}

func movingReason(in Input, t tally) facts.Reason {
	switch {
	case t.count(InProgress) == 0:
		return facts.ReasonWaiting
	case anyLabelled(in.Pool) && servesOther(in):
		return facts.ReasonUpdating
	default:
		return facts.ReasonInstalling
	}
}

func anyLabelled(p selection.Pool) bool {
	return p.Done.Count() > 0 || slices.ContainsFunc(p.Members, func(m selection.Member) bool { return m.Labelled() })
}

func servesOther(in Input) bool {
	return slices.ContainsFunc(in.Pool.Members, func(m selection.Member) bool {
		return m.Wanted != nil && m.Report != nil && m.Report.Payload != "" && m.Report.Payload != node.Digest(m.Wanted.Payload)
	})
}

// lostNodes says which nodes belong to older KataConfigs.
func lostNodes(in Input) string {
	var out []string
	for _, o := range in.Pool.Overlaps {
		if !o.Owns {
			out = append(out, fmt.Sprintf("KataConfig %q is older and owns %s", o.Other, list(o.Nodes)))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, "; ") + ": make the selectors disjoint"
}

// progress counts, and names what is stuck.
func (t tally) progress() string {
	return t.details(fmt.Sprintf("%d of %d nodes complete", t.count(Completed), t.total()))
}

// details begins with what all nodes have in common.
func (t tally) details(parts ...string) string {
	if working := t.of(InProgress); len(working) > 0 {
		parts = append(parts, "working: "+names(working, len(working)))
	}
	for _, w := range t.waiting() {
		parts = append(parts, fmt.Sprintf("waiting (%s): %s", w.Reason, w.Message))
	}
	if broken := t.of(Failed); len(broken) > 0 {
		parts = append(parts, fmt.Sprintf("failed: %s, see status.failedNodes", names(broken, len(broken))))
	}
	if len(t.kept) > 0 {
		parts = append(parts, fmt.Sprintf("kept although they lack label %s, which workers need since another node has it: %s (give them the label, or deselect them)", selection.RoleWorker, list(t.kept)))
	}
	return strings.Join(parts, "; ")
}
