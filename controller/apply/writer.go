// SPDX-License-Identifier: Apache-2.0

// Package apply is the only part of the controller that writes to the API server. Every write names
// the version of the object that the decision was made from, so that a stale decision changes
// nothing.
package apply

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/runtimeclass"
)

// Events of nodes that appear in status.failedNodes, and that do not any more.
const (
	EventFailed    = "KataFailed"
	EventRecovered = "KataRecovered"
)

// Writer makes changes and says so, in events and in the log.
type Writer struct {
	Kube kubernetes.Interface
	// Namespace is the ledger's.
	Namespace string
	Configs   *Configs
	Events    *Events
	Log       logrus.FieldLogger
	Now       func() time.Time
}

// Accept puts the finalizer on a KataConfig.
func (w *Writer) Accept(ctx context.Context, kc *v1.KataConfig) error {
	w.Log.WithField("kataconfig", kc.Name).Infof("accepting KataConfig")
	return w.Configs.setFinalizers(ctx, kc, append(slices.Clone(kc.Finalizers), facts.Finalizer))
}

// Release takes the finalizer off a KataConfig that is being deleted.
func (w *Writer) Release(ctx context.Context, kc *v1.KataConfig) error {
	w.Log.WithField("kataconfig", kc.Name).Infof("releasing KataConfig: its nodes are clean")
	rest := slices.DeleteFunc(slices.Clone(kc.Finalizers), func(f string) bool { return f == facts.Finalizer })
	return w.Configs.setFinalizers(ctx, kc, rest)
}

// Status writes the status where it differs, and an event for every condition that changed and for
// every node that failed.
func (w *Writer) Status(ctx context.Context, kc *v1.KataConfig, status v1.KataConfigStatus) error {
	if equality.Semantic.DeepEqual(kc.Status, status) {
		return nil
	}
	updated := kc.DeepCopy()
	updated.Status = status
	if err := w.Configs.updateStatus(ctx, updated); err != nil {
		return err
	}
	w.announce(kc, status.Conditions)
	w.announceFailed(kc.Name, kc.Status, status)
	return nil
}

// announceFailed writes an event on each node that was not among the failed ones before, and on
// each that is not any more. What the status does not name has none.
func (w *Writer) announceFailed(config string, before, now v1.KataConfigStatus) {
	among := func(all []v1.FailedNode, n v1.FailedNode) bool {
		return slices.ContainsFunc(all, func(other v1.FailedNode) bool { return other.Name == n.Name })
	}
	for _, n := range now.FailedNodes {
		if !among(before.FailedNodes, n) {
			w.Events.OfNode(n.Name, corev1.EventTypeWarning, EventFailed, n.Error)
		}
	}
	if int(now.FailedNodesCount) > len(now.FailedNodes) {
		return // Those that are not named may have failed as well.
	}
	for _, n := range before.FailedNodes {
		if !among(now.FailedNodes, n) {
			w.Events.OfNode(n.Name, corev1.EventTypeNormal, EventRecovered, fmt.Sprintf("the node is no longer among the failed ones of KataConfig %q", config))
		}
	}
}

func (w *Writer) announce(kc *v1.KataConfig, conditions []metav1.Condition) {
	for _, c := range conditions {
		before := slices.IndexFunc(kc.Status.Conditions, func(b metav1.Condition) bool {
			return b.Type == c.Type && b.Status == c.Status && b.Reason == c.Reason
		})
		if before >= 0 || c.Status != metav1.ConditionTrue {
			continue
		}
		kind := corev1.EventTypeNormal
		if c.Type == v1.ConditionFailed {
			kind = corev1.EventTypeWarning
		}
		w.Events.OfConfig(kc, kind, c.Reason, c.Message)
		w.Log.WithField("kataconfig", kc.Name).Infof("%s, %s: %s", c.Type, c.Reason, c.Message)
	}
}

// RuntimeClass makes the object what is desired: created, changed, deleted, or left alone where it
// is right already.
func (w *Writer) RuntimeClass(ctx context.Context, existing, desired *nodev1.RuntimeClass) error {
	client := w.Kube.NodeV1().RuntimeClasses()
	var err error
	switch {
	case existing == nil && desired == nil, existing != nil && runtimeclass.Foreign(existing) != nil:
		return nil
	case existing == nil:
		_, err = client.Create(ctx, desired, metav1.CreateOptions{})
	case desired == nil:
		err = client.Delete(ctx, existing.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &existing.UID, ResourceVersion: &existing.ResourceVersion}})
	case runtimeclass.Same(existing, desired):
		return nil
	default:
		_, err = client.Update(ctx, runtimeclass.Merge(existing, desired), metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing RuntimeClass: %w", err)
	}
	w.Log.WithField("runtimeclass", cmp.Or(desired, existing).Name).Infof("RuntimeClass written")
	return nil
}
