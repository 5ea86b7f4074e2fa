// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
)

// kubeletOf returns what the kubelet says on a Node.
func kubeletOf(n *corev1.Node) cluster.Kubelet {
	var k cluster.Kubelet
	if i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady }); i >= 0 {
		ready := n.Status.Conditions[i]
		k.Ready, k.Heartbeat = ready.Status == corev1.ConditionTrue, ready.LastHeartbeatTime.Time
	}
	for name, quantity := range n.Status.Allocatable {
		if !extended(name) || quantity.Value() == 0 {
			continue
		}
		if k.Resources == nil {
			k.Resources = map[string]int64{}
		}
		k.Resources[string(name)] = quantity.Value()
	}
	return k
}

// extended tells a resource of a device plugin or an administrator from those of Kubernetes itself,
// such as cpu or hugepages-2Mi: it has the domain of another owner before its name.
func extended(name corev1.ResourceName) bool {
	domain, _, qualified := strings.Cut(string(name), "/")
	return qualified && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io")
}

// sameKubelet compares what the kubelet says. It is news only while the node's own report says that
// it is being installed, because that may wait for it: the kubelet of a node at rest confirms the
// same every 5 min.
func sameKubelet(before, after *corev1.Node) bool {
	r, err := node.DecodeReport(after.Annotations[node.ReportAnnotation])
	if err != nil || r.Phase != node.PhaseInstalling {
		return true
	}
	a, b := kubeletOf(before), kubeletOf(after)
	return a.Ready == b.Ready && a.Heartbeat.Equal(b.Heartbeat) && maps.Equal(a.Resources, b.Resources)
}
