// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Labels that the kubelet puts on every sandbox it makes.
const (
	PodNameLabel      = "io.kubernetes.pod.name"
	PodNamespaceLabel = "io.kubernetes.pod.namespace"
	PodUIDLabel       = "io.kubernetes.pod.uid"
)

// Config describes the sandbox to make for a pod, with the fields that a runtime needs to tell pods
// and their networks apart.
func Config(pod *corev1.Pod, attempt uint32) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: pod.Name, Namespace: pod.Namespace, Uid: string(pod.UID), Attempt: attempt},
		Hostname:     hostname(pod),
		LogDirectory: fmt.Sprintf("/var/log/pods/%s_%s_%s", pod.Namespace, pod.Name, pod.UID),
		Labels:       labels(pod),
		Annotations:  maps.Clone(pod.Annotations),
		Linux: &cri.LinuxPodSandboxConfig{
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: namespaces(pod), Privileged: privileged(pod)},
		},
	}
}

// hostname stays empty with host network: such a pod has the node's name.
func hostname(pod *corev1.Pod) string {
	switch {
	case pod.Spec.HostNetwork:
		return ""
	case pod.Spec.Hostname != "":
		return pod.Spec.Hostname
	default:
		return pod.Name[:min(len(pod.Name), 63)]
	}
}

func labels(pod *corev1.Pod) map[string]string {
	out := map[string]string{}
	maps.Copy(out, pod.Labels)
	out[PodNameLabel] = pod.Name
	out[PodNamespaceLabel] = pod.Namespace
	out[PodUIDLabel] = string(pod.UID)
	return out
}

func namespaces(pod *corev1.Pod) *cri.NamespaceOption {
	mode := func(host bool) cri.NamespaceMode {
		if host {
			return cri.NamespaceMode_NODE
		}
		return cri.NamespaceMode_POD
	}
	options := &cri.NamespaceOption{Network: mode(pod.Spec.HostNetwork), Ipc: mode(pod.Spec.HostIPC), Pid: cri.NamespaceMode_CONTAINER}
	if share := pod.Spec.ShareProcessNamespace; pod.Spec.HostPID || share != nil && *share {
		options.Pid = mode(pod.Spec.HostPID)
	}
	return options
}

func privileged(pod *corev1.Pod) bool {
	for _, c := range pod.Spec.Containers {
		if sc := c.SecurityContext; sc != nil && sc.Privileged != nil && *sc.Privileged {
			return true
		}
	}
	return false
}
