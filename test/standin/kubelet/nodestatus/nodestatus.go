// SPDX-License-Identifier: Apache-2.0

// Package nodestatus computes the Node object that the kubelet registers and the status it posts,
// from facts about the machine and from what the runtime said. It touches its own conditions and
// fields only, so a patch between two of its Nodes leaves conditions of other writers alone.
package nodestatus

import (
	"runtime"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KubeletVersion is what the node says it runs.
const KubeletVersion = "v1.37.2"

// Machine is what the kubelet knows about the machine it runs on.
type Machine struct {
	// Name is the Node's name and host name, IP its internal address.
	Name, IP string
	// MachineID, BootID, KernelVersion and OSImage go into nodeInfo; the boot id changes with every
	// boot.
	MachineID, BootID, KernelVersion, OSImage string
	Capacity                                  corev1.ResourceList
}

// Initial is the Node that a kubelet creates when there is none: its default labels, and no label
// that anybody else gave a Node of this name before.
func Initial(m Machine, r Runtime, now time.Time) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: m.Name, Labels: DefaultLabels(m)}}
	setStatus(node, m, r, now)
	return node
}

// DefaultLabels are the labels a kubelet puts on its Node at registration, and sets right on an
// existing Node when it starts.
func DefaultLabels(m Machine) map[string]string {
	return map[string]string{
		corev1.LabelHostname:      m.Name,
		corev1.LabelOSStable:      runtime.GOOS,
		corev1.LabelArchStable:    runtime.GOARCH,
		"beta.kubernetes.io/os":   runtime.GOOS,
		"beta.kubernetes.io/arch": runtime.GOARCH,
	}
}

// Update returns the Node as it should be and whether more than heartbeats differ from the given
// one. Besides the status only the labels for system and architecture are set right while a kubelet
// runs.
func Update(node *corev1.Node, m Machine, r Runtime, now time.Time) (updated *corev1.Node, changed bool) {
	updated = node.DeepCopy()
	if updated.Labels == nil {
		updated.Labels = map[string]string{}
	}
	updated.Labels[corev1.LabelOSStable] = runtime.GOOS
	updated.Labels[corev1.LabelArchStable] = runtime.GOARCH
	setStatus(updated, m, r, now)
	return updated, !equality.Semantic.DeepEqual(withoutHeartbeats(node), withoutHeartbeats(updated))
}

// Ready reports whether the Node says that it is Ready.
func Ready(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func setStatus(node *corev1.Node, m Machine, r Runtime, now time.Time) {
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: m.IP}, {Type: corev1.NodeHostName, Address: m.Name}}
	node.Status.Capacity, node.Status.Allocatable = m.Capacity, m.Capacity
	node.Status.NodeInfo = nodeInfo(m, r)
	node.Status.RuntimeHandlers = r.Handlers
	setCondition(node, corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available", now)
	setCondition(node, corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure", now)
	setCondition(node, corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available", now)
	if problem := r.Problem(now); problem != nil {
		setCondition(node, corev1.NodeReady, corev1.ConditionFalse, "KubeletNotReady", strings.ReplaceAll(problem.Error(), "\n", ", "), now)
		return
	}
	setCondition(node, corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status", now)
}

func nodeInfo(m Machine, r Runtime) corev1.NodeSystemInfo {
	return corev1.NodeSystemInfo{
		MachineID: m.MachineID, SystemUUID: m.MachineID, BootID: m.BootID,
		KernelVersion: m.KernelVersion, OSImage: m.OSImage,
		OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
		ContainerRuntimeVersion: r.Name + "://" + r.Version,
		KubeletVersion:          KubeletVersion,
	}
}

func setCondition(node *corev1.Node, kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string, now time.Time) {
	stamp := metav1.NewTime(now.Truncate(time.Second))
	next := corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: stamp, LastTransitionTime: stamp}
	for i, old := range node.Status.Conditions {
		if old.Type != kind {
			continue
		}
		if old.Status == status {
			next.LastTransitionTime = old.LastTransitionTime
		}
		node.Status.Conditions[i] = next
		return
	}
	node.Status.Conditions = append(node.Status.Conditions, next)
}

func withoutHeartbeats(node *corev1.Node) *corev1.Node {
	still := node.DeepCopy()
	for i := range still.Status.Conditions {
		still.Status.Conditions[i].LastHeartbeatTime = metav1.Time{}
	}
	return still
}
