// SPDX-License-Identifier: Apache-2.0

// Package runtimeclass decides the desired RuntimeClass, and whether it is ours.
// It is a pure function of the pools and of the object that exists.
package runtimeclass

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

// The label that marks our object. An object of our name without it belongs to another owner and is
// never touched.
const (
	OwnerLabel = "app.kubernetes.io/managed-by"
	Owner      = "kata-controller"
)

// WithdrawnLabel is the key that the selector names during the final removal. No node carries it,
// and NodeRestriction keeps kubelets from setting it.
const WithdrawnLabel = "node-restriction.kubernetes.io/kata-oc-withdrawn"

// Foreign returns why the existing object cannot be used, or nil.
func Foreign(existing *nodev1.RuntimeClass) *facts.Refusal {
	switch {
	case existing == nil:
		return nil
	case existing.Labels[OwnerLabel] != Owner:
		return &facts.Refusal{Reason: facts.ReasonRuntimeClassConflict, Message: fmt.Sprintf("RuntimeClass %q exists and was not made by this controller: delete or rename it", existing.Name)}
	case existing.Handler != handlerOf(existing.Name):
		return &facts.Refusal{Reason: facts.ReasonRuntimeClassConflict, Message: fmt.Sprintf("RuntimeClass %q has handler %q and not %q, which cannot be changed: delete it", existing.Name, existing.Handler, handlerOf(existing.Name))}
	default:
		return nil
	}
}

// Desired returns the object that should exist, or nil. It exists from the first accepted
// KataConfig until the last one is clean and no node is labelled: the kubelet reads it for every
// sandbox it creates. A KataConfig that is about to be accepted keeps an object that exists, so
// that it outlives a hand-over. Once all KataConfigs are being deleted, its selector matches no
// node.
func Desired(existing *nodev1.RuntimeClass, pools []selection.Pool, labelled bool) *nodev1.RuntimeClass {
	needed, live := existing != nil && labelled, false
	for _, p := range pools {
		wanted := p.Config.Accepted || existing != nil && p.Config.Acceptable()
		needed = needed || wanted && !removed(p)
		live = live || wanted && !p.Config.Deleting
	}
	if !needed {
		return nil
	}
	selector := map[string]string{node.ReadyLabel: node.ReadyValue}
	if !live {
		selector = withdrawn()
	}
	return &nodev1.RuntimeClass{
		ObjectMeta: metav1.ObjectMeta{Name: node.RuntimeClass, Labels: map[string]string{OwnerLabel: Owner}},
		Handler:    node.Handler,
		Overhead:   &nodev1.Overhead{PodFixed: Overhead(pools)},
		Scheduling: &nodev1.Scheduling{NodeSelector: selector, Tolerations: Tolerations(pools)},
	}
}

func withdrawn() map[string]string {
	return map[string]string{WithdrawnLabel: node.ReadyValue}
}

// removed is true for a KataConfig that is being deleted and of which no node has anything left.
func removed(p selection.Pool) bool {
	return p.Config.Deleting && p.Clean()
}

// Same is true when the existing object already says what is desired.
func Same(existing, desired *nodev1.RuntimeClass) bool {
	return equality.Semantic.DeepEqual(existing.Overhead, desired.Overhead) &&
		equality.Semantic.DeepEqual(existing.Scheduling, desired.Scheduling)
}

// Merge returns the existing object with what is desired: labels and annotations that others put on
// it stay.
func Merge(existing, desired *nodev1.RuntimeClass) *nodev1.RuntimeClass {
	out := existing.DeepCopy()
	out.Overhead, out.Scheduling = desired.Overhead, desired.Scheduling
	return out
}

// Overhead is, for each resource, the largest that any KataConfig with nodes asks for: they share
// one RuntimeClass.
func Overhead(pools []selection.Pool) corev1.ResourceList {
	out := corev1.ResourceList{}
	for _, p := range pools {
		if !p.Config.Accepted || p.Config.Refused != nil && p.Config.Refused.Reason != facts.ReasonPoliciesMissing || p.Clean() {
			continue
		}
		for name, quantity := range overheadOf(p.Config.Overhead) {
			if present, found := out[name]; !found || present.Cmp(quantity) < 0 {
				out[name] = quantity
			}
		}
	}
	if len(out) == 0 {
		return overheadOf(nil)
	}
	return out
}

// overheadOf is what a KataConfig asks for. The default is what the sandboxed containers operator
// has charged for years.
func overheadOf(asked corev1.ResourceList) corev1.ResourceList {
	if len(asked) > 0 {
		return maps.Clone(asked)
	}
	return corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("250m"),
		corev1.ResourceMemory: resource.MustParse("350Mi"),
	}
}
