// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"

	"github.com/kata-node/kata-node/api/node"
)

// bound returns the pods of our handlers on this node, as namespace/name, sorted, and whether they
// are known.
func (v view) bound() ([]string, bool) {
	if v.api == nil || !v.pods.synced() || !v.classes.synced() {
		return nil, false
	}
	var names []string
	for _, o := range v.pods.store.List() {
		if p, ok := o.(*corev1.Pod); ok && !ended(p) && v.ours(p) {
			names = append(names, p.Namespace+"/"+p.Name)
		}
	}
	slices.Sort(names)
	return names, true
}

// ours tells a pod by the handler of its RuntimeClass: any user may make a class of another name
// with a handler of ours. A class that is not there any more may have been one.
func (v view) ours(p *corev1.Pod) bool {
	name := className(p)
	if name == "" {
		return false
	}
	object, exists, err := v.classes.store.GetByKey(name)
	class, ok := object.(*nodev1.RuntimeClass)
	if err != nil || !exists || !ok {
		return true
	}
	return name == node.RuntimeClass || slices.Contains(node.Handlers(), class.Handler)
}

func className(p *corev1.Pod) string {
	if p.Spec.RuntimeClassName == nil {
		return ""
	}
	return *p.Spec.RuntimeClassName
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// counts tells a pod that may count. Kubelets write other pods and their status all the time, and
// each look at the host costs something.
func counts(object any) bool {
	p, ok := object.(*corev1.Pod)
	return !ok || className(p) != "" && !ended(p)
}

func sameHandler(before, after any) bool {
	a, okA := before.(*nodev1.RuntimeClass)
	b, okB := after.(*nodev1.RuntimeClass)
	return okA && okB && a.Handler == b.Handler
}
