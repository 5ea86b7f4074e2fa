// SPDX-License-Identifier: Apache-2.0

// Package scaletest is what benchmarks of the controller have in common: Nodes as large as those of
// OpenShift, a controller as most are for a baseline, and what a process uses.
package scaletest

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kata-node/kata-node/api/node"
)

// NodeType is the type of every Node.
func NodeType() metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "v1", Kind: "Node"} }

// Name is that of a Node. Names sort as their numbers do, up to 99,999.
func Name(i int) string { return fmt.Sprintf("worker-%05d.example.internal", i) }

// Boot is the boot id of a Node.
func Boot(i int) string { return fmt.Sprintf("0a1b2c3d-0000-4000-8000-%012d", i) }

// Idle is the report of an agent that answers no intent.
func Idle(i int) node.Report {
	return node.Report{Version: node.Version, Speaks: []int{node.Version}, BootID: Boot(i), Architecture: "amd64", Phase: node.PhaseIdle}
}

// Node is one with 27 labels and 50 images, about 18 KB in JSON. Its agent has said nothing.
func Node(i int) *corev1.Node {
	name := Name(i)
	n := &corev1.Node{
		TypeMeta:   NodeType(),
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)), CreationTimestamp: metav1.Now(), Labels: labels(name, i)},
		Spec:       corev1.NodeSpec{ProviderID: fmt.Sprintf("aws:///eu-central-1a/i-%017d", i)},
	}
	n.Annotations = map[string]string{
		"k8s.ovn.org/l3-gateway-config":                   fmt.Sprintf(`{"default":{"mode":"shared","bridge-id":"br-ex","interface-id":"br-ex_%s","ip-addresses":["10.0.%d.%d/16"],"next-hops":["10.0.0.1"],"node-port-enable":"true","vlan-id":"0"}}`, name, i/250, i%250),
		"machineconfiguration.openshift.io/currentConfig": "rendered-worker-0123456789abcdef0123456789abcdef",
		"machineconfiguration.openshift.io/desiredConfig": "rendered-worker-0123456789abcdef0123456789abcdef",
		"machineconfiguration.openshift.io/state":         "Done",
	}
	n.ManagedFields = managedFields()
	n.Status.Images = images()
	n.Status.Conditions = Conditions(corev1.ConditionTrue, time.Now())
	n.Status.NodeInfo = corev1.NodeSystemInfo{
		BootID: Boot(i), MachineID: Boot(i), SystemUUID: Boot(i), OperatingSystem: "linux", Architecture: "amd64",
		KubeletVersion: "v1.33.5", ContainerRuntimeVersion: "cri-o://1.33.12-3.rhaos4.20.git64c6a00.el9",
		OSImage: "Red Hat Enterprise Linux CoreOS 9.6.20251013-0 (Plow)", KernelVersion: "5.14.0-570.96.1.el9_6.x86_64",
	}
	n.Status.RuntimeHandlers = []corev1.NodeRuntimeHandler{{Name: ""}, {Name: "crun"}, {Name: "runc"}, {Name: node.Handler}}
	n.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("263840768Ki"), corev1.ResourcePods: resource.MustParse("250")}
	n.Status.Allocatable = n.Status.Capacity
	return n
}

// labels are 27, as many as a node of OpenShift with node feature discovery has.
func labels(name string, i int) map[string]string {
	all := map[string]string{
		corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		"node-role.kubernetes.io/worker": "", corev1.LabelInstanceTypeStable: "m6i.metal",
		corev1.LabelTopologyRegion: "eu-central-1", corev1.LabelTopologyZone: fmt.Sprintf("eu-central-1%c", 'a'+i%3),
	}
	for f := range 20 {
		all[fmt.Sprintf("feature.node.kubernetes.io/cpu-cpuid.FEATURE%02d", f)] = "true"
	}
	return all
}

// Conditions are those of a kubelet at a heartbeat.
func Conditions(ready corev1.ConditionStatus, now time.Time) []corev1.NodeCondition {
	var out []corev1.NodeCondition
	for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		out = append(out, corev1.NodeCondition{Type: kind, Status: corev1.ConditionFalse, LastHeartbeatTime: metav1.NewTime(now), Reason: "KubeletHasSufficient", Message: "kubelet has sufficient memory available"})
	}
	return append(out, corev1.NodeCondition{Type: corev1.NodeReady, Status: ready, LastHeartbeatTime: metav1.NewTime(now), Reason: "KubeletReady", Message: "kubelet is posting ready status"})
}

func images() []corev1.ContainerImage {
	all := make([]corev1.ContainerImage, 0, 50)
	for i := range 50 {
		all = append(all, corev1.ContainerImage{SizeBytes: 1 << 28, Names: []string{
			fmt.Sprintf("quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:%064d", i), "quay.io/openshift-release-dev/ocp-v4.0-art-dev:<none>",
		}})
	}
	return all
}

func managedFields() []metav1.ManagedFieldsEntry {
	const fields = `{"f:metadata":{"f:annotations":{"f:k8s.ovn.org/node-subnets":{}},"f:labels":{"f:feature.node.kubernetes.io/cpu-cpuid.FEATURE00":{}}}}`
	var out []metav1.ManagedFieldsEntry
	for _, manager := range []string{"kubelet", "kube-controller-manager", "ovnkube-node", "machine-config-daemon", "nfd-master", "kata-controller"} {
		out = append(out, metav1.ManagedFieldsEntry{Manager: manager, Operation: "Update", APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(strings.Repeat(" ", 900) + fields)})
	}
	return out
}
