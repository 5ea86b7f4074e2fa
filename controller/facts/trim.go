// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
)

// working stands for everything that the machine-config daemon says of a node at which it is at
// work, or has given up.
const working = "Working"

// Trim returns a copy of the Node with nothing but what OfNode reads: a cache of thousands of whole
// Nodes would cost ten times the memory.
func Trim(n *corev1.Node) *corev1.Node {
	out := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:            n.Name,
		UID:             n.UID,
		ResourceVersion: n.ResourceVersion,
		Labels:          n.Labels,
	}}
	kept := []string{node.IntentAnnotation, node.ReportAnnotation, node.HoldAnnotation}
	for _, key := range kept {
		if value, found := n.Annotations[key]; found {
			metav1.SetMetaDataAnnotation(&out.ObjectMeta, key, value)
		}
	}
	if node.Busy(n.Annotations) != "" {
		metav1.SetMetaDataAnnotation(&out.ObjectMeta, node.MachineState, working)
	}
	out.Spec.Unschedulable = n.Spec.Unschedulable
	if i := slices.IndexFunc(n.Spec.Taints, virtual); i >= 0 {
		out.Spec.Taints = []corev1.Taint{{Key: n.Spec.Taints[i].Key}}
	}
	if slices.ContainsFunc(n.Spec.Taints, startup) {
		out.Spec.Taints = n.Spec.Taints // The patch that removes one names all others.
	}
	info := n.Status.NodeInfo
	out.Status.NodeInfo = corev1.NodeSystemInfo{
		BootID: info.BootID, OperatingSystem: info.OperatingSystem, Architecture: info.Architecture,
		KubeletVersion: info.KubeletVersion, ContainerRuntimeVersion: info.ContainerRuntimeVersion,
		OSImage: info.OSImage, KernelVersion: info.KernelVersion,
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			out.Status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	for _, h := range n.Status.RuntimeHandlers {
		out.Status.RuntimeHandlers = append(out.Status.RuntimeHandlers, corev1.NodeRuntimeHandler{Name: h.Name})
	}
	return out
}
