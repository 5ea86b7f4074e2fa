// SPDX-License-Identifier: Apache-2.0

// Package sandbox decides which sandboxes a kubelet makes, stops and removes, from what the runtime
// lists and which pods are known. It computes values only; the caller talks to the runtime.
package sandbox

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Plan is what one pod needs from the runtime, in the order Stop, Create, Remove.
type Plan struct {
	// Keep is the sandbox that serves the pod; nil when one has to be made or the pod is over.
	Keep *cri.PodSandbox
	// Stop lists sandboxes, by id, to stop.
	Stop []string
	// Create asks for a new sandbox with number Attempt.
	Create  bool
	Attempt uint32
	// Over is true when the pod's only sandbox died and its restart policy is Never.
	Over bool
	// Remove lists finished sandboxes, by id, to remove afterwards.
	Remove []string
}

// ForRunning plans for a pod that is to run, given its own sandboxes. Any doubt about the newest
// sandbox leads to a new one with the next attempt number: that is how a pod survives a reboot and
// the death of its VM.
func ForRunning(pod *corev1.Pod, own []*cri.PodSandbox) Plan {
	own = newestFirst(own)
	ready := len(slices.DeleteFunc(slices.Clone(own), notReady))
	switch {
	case len(own) == 0:
		return Plan{Create: true}
	case ready == 1 && !notReady(own[0]):
		return Plan{Keep: own[0], Remove: ids(own[1:])}
	case pod.Spec.RestartPolicy == corev1.RestartPolicyNever:
		return Plan{Over: true, Stop: ids(own)}
	default:
		return Plan{Create: true, Attempt: own[0].GetMetadata().GetAttempt() + 1, Stop: ids(own), Remove: ids(own)}
	}
}

// ForGone plans for a pod that is unknown, deleted, rejected or finished: nothing of it stays.
func ForGone(own []*cri.PodSandbox) Plan {
	all := ids(newestFirst(own))
	return Plan{Stop: all, Remove: all}
}

// OfPod returns the sandboxes whose metadata names the pod.
func OfPod(all []*cri.PodSandbox, uid types.UID) []*cri.PodSandbox {
	return slices.DeleteFunc(slices.Clone(all), func(s *cri.PodSandbox) bool { return s.GetMetadata() == nil || UID(s) != uid })
}

// UID returns the pod UID a sandbox claims to belong to.
func UID(s *cri.PodSandbox) types.UID { return types.UID(s.GetMetadata().GetUid()) }

func notReady(s *cri.PodSandbox) bool { return s.GetState() != cri.PodSandboxState_SANDBOX_READY }

func newestFirst(own []*cri.PodSandbox) []*cri.PodSandbox {
	return slices.SortedFunc(slices.Values(own), func(a, b *cri.PodSandbox) int {
		return cmp.Or(cmp.Compare(b.GetCreatedAt(), a.GetCreatedAt()), cmp.Compare(b.GetMetadata().GetAttempt(), a.GetMetadata().GetAttempt()), cmp.Compare(a.GetId(), b.GetId()))
	})
}

func ids(sandboxes []*cri.PodSandbox) []string {
	var out []string
	for _, s := range sandboxes {
		out = append(out, s.GetId())
	}
	return out
}
