// SPDX-License-Identifier: Apache-2.0

// Package admit decides whether a pod bound to a node may run there, as the kubelet decides it for
// every pod it meets: new ones, and at its start all of them, running pods included. It compares
// the pod with the Node object only; resource fit and host ports, which the kubelet checks too, are
// left out because nothing here schedules.
package admit

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// Reasons of a rejection, spelled as the kubelet writes them into the pod's status.
const (
	NodeAffinity     = "NodeAffinity"
	TaintToleration  = "TaintToleration"
	NodeName         = "NodeName"
	PodOSUnsupported = "PodOSNotSupported"
)

// nodeOS is the only operating system a node of this test bed has.
const nodeOS = corev1.Linux

// Rejection says why a pod may not run on its node.
type Rejection struct {
	// Reason is what the pod's status.reason becomes.
	Reason string
	// Message is the kubelet's sentence, without its prefix "Pod was rejected: ".
	Message string
	// LabelsOnly is true when nothing but the Node's labels stood in the way: the kubelet then asks
	// the API server for the Node once more before it rejects.
	LabelsOnly bool
}

type predicate struct {
	name, complaint string
	holds           func(*corev1.Pod, *corev1.Node) bool
}

// Check returns nil when the pod may run on the node, and otherwise the first reason against it.
func Check(pod *corev1.Pod, node *corev1.Node) *Rejection {
	if pod.Spec.OS != nil && pod.Spec.OS.Name != nodeOS {
		return &Rejection{Reason: PodOSUnsupported, Message: "Failed to admit pod as the OS field doesn't match node OS"}
	}
	failed := slices.DeleteFunc(predicates(), func(p predicate) bool { return p.holds(pod, node) })
	if len(failed) == 0 {
		return nil
	}
	return &Rejection{
		Reason:     failed[0].name,
		Message:    fmt.Sprintf("Predicate %s failed: %s", failed[0].name, failed[0].complaint),
		LabelsOnly: len(failed) == 1 && failed[0].name == NodeAffinity,
	}
}

// predicates are in the order in which the kubelet reports them.
func predicates() []predicate {
	return []predicate{
		{NodeAffinity, "node(s) didn't match Pod's node affinity/selector", matchesLabels},
		{NodeName, "node(s) didn't match the requested node name", isBoundHere},
		{TaintToleration, "node(s) had taints that the pod didn't tolerate", toleratesTaints},
	}
}

// matchesLabels covers spec.nodeSelector, into which the API server has merged the RuntimeClass's
// selector, and required node affinity.
func matchesLabels(pod *corev1.Pod, node *corev1.Node) bool {
	matches, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	return err == nil && matches
}

func isBoundHere(pod *corev1.Pod, node *corev1.Node) bool {
	return pod.Spec.NodeName == "" || pod.Spec.NodeName == node.Name
}

// toleratesTaints looks at NoExecute taints only, as the kubelet does.
func toleratesTaints(pod *corev1.Pod, node *corev1.Node) bool {
	noExecute := func(t *corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute }
	_, untolerated := scheduling.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, pod.Spec.Tolerations, noExecute, false)
	return !untolerated
}
