// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/report"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Answers of the API server that are no success.
var (
	errAway    = errors.New("connection refused")
	errServer  = errors.New("internal server error")
	errGone    = errors.New("the Node is not found, or is another one")
	errTimeout = errors.New("no answer came in time")
	errTaken   = errors.New("the grant of its reboot was taken back")
)

// api is what the agent of a node sees of the API server, as package nodeclient shows it.
type api struct{ r *resident }

// seen is what the watches have.
func (a api) seen() moment {
	r := a.r
	now := moment{r.Object(), r.podNames()}
	switch {
	case r.away > 0 && r.at < len(r.history):
		return r.history[r.at]
	case r.away > 0, r.lag == 0:
		r.at = len(r.history)
		return now
	}
	if r.at = max(r.at, len(r.history)-r.lag); r.at >= len(r.history) {
		return now
	}
	return r.history[r.at]
}

// relists lets the watches of the agent begin anew.
func (r *resident) relists() { r.at, r.answer = len(r.history), nil }

// latest is the newest Node that the API server has shown, in a watch or in an answer.
func (a api) latest() *corev1.Node {
	n, answer := a.seen().node, a.r.answer
	if n == nil || answer == nil || n.UID != answer.UID || version(answer) <= version(n) {
		return n
	}
	return answer
}

func version(o metav1.Object) int {
	v, err := strconv.Atoi(o.GetResourceVersion())
	if err != nil {
		return 0
	}
	return v
}

func (a api) State() cluster.State {
	shown := cluster.State{Unguarded: a.r.w.Unguarded}
	s := a.seen()
	if n := s.node; n != nil {
		shown.Known, shown.Intent, shown.Busy = true, n.Annotations[node.IntentAnnotation], node.Busy(n.Annotations)
		shown.Operated, shown.Complaint = node.Operated(n.Annotations)
		shown.Labelled = n.Labels[node.ReadyLabel] != ""
	}
	if n := a.latest(); n != nil {
		shown.Cordoned, shown.CordonedIn = n.Spec.Unschedulable, n.Annotations[node.CordonAnnotation]
	}
	if a.r.away == 0 {
		shown.PodsKnown, shown.Pods, shown.Evictable = true, s.pods, s.pods
	}
	return shown
}

func (a api) Reported() node.Report {
	n := a.latest()
	if n == nil {
		return node.Report{}
	}
	r, err := node.DecodeReport(n.Annotations[node.ReportAnnotation])
	if err != nil {
		return node.Report{}
	}
	return r
}

func (a api) Publish(_ context.Context, r node.Report, c cluster.Condition, _ time.Time) error {
	n := a.latest()
	if n == nil {
		return cluster.ErrUnknownNode
	}
	condition := corev1.NodeCondition{Type: node.ReadyCondition, Status: corev1.ConditionFalse, Reason: c.Reason, Message: c.Message}
	if c.Ready {
		condition.Status = corev1.ConditionTrue
	}
	shown := slices.Contains(n.Status.Conditions, condition)
	if report.Equal(a.Reported(), r) && shown == c.Present {
		return nil
	}
	document, err := r.Encode()
	if err != nil {
		a.r.w.Fails("%s: %v", a.r.Name, err)
	}
	return a.write("publish", n, func(n *corev1.Node) {
		a.r.Reported = r.BoundPods.Count
		n.Annotations[node.ReportAnnotation] = document
		n.Status.Conditions = slices.DeleteFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == node.ReadyCondition })
		if c.Present {
			n.Status.Conditions = append(n.Status.Conditions, condition)
		}
	})
}

// write is one of the agent's. The API server may not answer, or refuse, and an answer may be lost.
func (a api) write(what string, read *corev1.Node, change func(*corev1.Node)) error {
	w := a.r.w
	return a.r.host.Change(what, func() error {
		present := a.r.Object()
		switch {
		case a.r.away > 0:
			return errAway
		case present == nil || present.UID != read.UID:
			return errGone
		case !w.Calm && w.Likely(3):
			return errServer
		}
		before := present.ResourceVersion
		after := a.r.Edit(change)
		w.Busy = w.Busy || after.ResourceVersion != before
		if !w.Calm && w.Likely(3) {
			w.Tells("%s gets no answer to %s", a.r.Name, what)
			return errTimeout
		}
		a.r.answer = after
		return nil
	})
}

// drain is the agent's part of a reboot.
type drain struct{ r *resident }

func (d drain) Cordon(_ context.Context, boot string) error {
	n := api(d).latest()
	if n == nil {
		return cluster.ErrUnknownNode
	}
	var taken error
	err := api(d).write("cordon", n, func(n *corev1.Node) {
		if n.Spec.Unschedulable {
			return
		}
		intent, err := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
		if err != nil || intent.Grants.Reboot != boot {
			taken = errTaken
			return
		}
		if d.r.Available() {
			d.r.Disrupted = intent.Owner.UID
		}
		n.Spec.Unschedulable, n.Annotations[node.CordonAnnotation] = true, boot
	})
	return cmp.Or(err, taken)
}

func (d drain) Uncordon(context.Context) error {
	n := api(d).latest()
	if n == nil {
		return cluster.ErrUnknownNode
	}
	return api(d).write("uncordon", n, func(n *corev1.Node) {
		if n.Annotations[node.CordonAnnotation] != "" {
			n.Spec.Unschedulable = false
			delete(n.Annotations, node.CordonAnnotation)
		}
	})
}

// Evict ends pods; a disruption budget may refuse one.
func (d drain) Evict(context.Context) error {
	return d.r.host.Change("evict", func() error {
		if d.r.away > 0 {
			return errAway
		}
		for _, p := range d.r.pods {
			if !d.r.w.Calm && d.r.w.Likely(20) {
				return errors.New("cannot evict pod " + p.name)
			}
			p.ending = true
		}
		return nil
	})
}

// Vacant knows of pods that no watch has shown yet.
func (d drain) Vacant(context.Context) error {
	if d.r.away > 0 {
		return errAway
	}
	for _, p := range d.r.pods {
		return errors.New("pod " + p.name + " runs here")
	}
	return nil
}
