// SPDX-License-Identifier: Apache-2.0

// Package podstatus computes what the kubelet writes into a pod's status.
// It runs no containers, so every container of a pod is as alive as the pod's sandbox; conditions of other writers are kept.
package podstatus

import (
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Sandbox is what a status needs to know about the sandbox that serves a pod.
type Sandbox struct {
	ID      string
	Attempt uint32
	Created time.Time
}

// Final reports whether a pod has reached a phase that the kubelet never leaves again.
func Final(pod *v1.Pod) bool {
	return pod.Status.Phase == v1.PodFailed || pod.Status.Phase == v1.PodSucceeded
}

// Rejected is the status of a pod that admission turned away; nothing of an earlier status is kept.
func Rejected(pod *v1.Pod, reason, message string, now time.Time) v1.PodStatus {
	return v1.PodStatus{
		Phase:     v1.PodFailed,
		QOSClass:  pod.Status.QOSClass,
		Reason:    reason,
		Message:   "Pod was rejected: " + message,
		StartTime: startTime(pod, now),
	}
}

// Died is the status of a pod whose sandbox ended and is not to be restarted.
func Died(pod *v1.Pod, now time.Time) v1.PodStatus {
	status := base(pod, v1.PodFailed, now)
	ended := v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown", FinishedAt: metav1.NewTime(now)}}
	setContainers(&status, pod, false, 0, ended)
	setConditions(&status, false, now)
	return status
}

// Waiting is the status of a pod without a sandbox; a pod that ran before stays in phase Running, as phases only move forward.
func Waiting(pod *v1.Pod, message string, now time.Time) v1.PodStatus {
	phase := v1.PodPending
	if pod.Status.Phase == v1.PodRunning {
		phase = v1.PodRunning
	}
	status := base(pod, phase, now)
	waiting := v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "ContainerCreating", Message: message}}
	setContainers(&status, pod, false, 0, waiting)
	setConditions(&status, false, now)
	return status
}

// WaitingMessage is the message of a Waiting status, or "".
func WaitingMessage(pod *v1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Waiting != nil {
			return c.State.Waiting.Message
		}
	}
	return ""
}

// Running is the status of a pod that a sandbox serves.
func Running(pod *v1.Pod, serving Sandbox, hostIP string, now time.Time) v1.PodStatus {
	status := base(pod, v1.PodRunning, now)
	status.HostIP, status.HostIPs = hostIP, []v1.HostIP{{IP: hostIP}}
	if pod.Spec.HostNetwork {
		status.PodIP, status.PodIPs = hostIP, []v1.PodIP{{IP: hostIP}}
	}
	running := v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.NewTime(serving.Created.Truncate(time.Second))}}
	setContainers(&status, pod, true, int32(serving.Attempt), running) //nolint:gosec // attempts are few
	setConditions(&status, true, now)
	return status
}

func base(pod *v1.Pod, phase v1.PodPhase, now time.Time) v1.PodStatus {
	status := *pod.Status.DeepCopy()
	status.Phase, status.Reason, status.Message = phase, "", ""
	status.StartTime = startTime(pod, now)
	return status
}

func startTime(pod *v1.Pod, now time.Time) *metav1.Time {
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime
	}
	return new(metav1.NewTime(now.Truncate(time.Second)))
}

func setContainers(status *v1.PodStatus, pod *v1.Pod, up bool, restarts int32, state v1.ContainerState) {
	status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		s := v1.ContainerStatus{Name: c.Name, Image: c.Image, State: state, Ready: up, Started: new(up), RestartCount: restarts}
		status.ContainerStatuses = append(status.ContainerStatuses, s)
	}
}

func setConditions(status *v1.PodStatus, up bool, now time.Time) {
	setCondition(status, v1.PodReadyToStartContainers, up, "", now)
	setCondition(status, v1.PodInitialized, true, "", now)
	setCondition(status, v1.ContainersReady, up, "ContainersNotReady", now)
	setCondition(status, v1.PodReady, up, "ContainersNotReady", now)
	setCondition(status, v1.PodScheduled, true, "", now)
}

func setCondition(status *v1.PodStatus, kind v1.PodConditionType, holds bool, reason string, now time.Time) {
	condition := v1.PodCondition{Type: kind, Status: v1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second))}
	if !holds {
		condition.Status, condition.Reason = v1.ConditionFalse, reason
	}
	for i, old := range status.Conditions {
		if old.Type != kind {
			continue
		}
		if old.Status == condition.Status {
			condition.LastTransitionTime = old.LastTransitionTime
		}
		status.Conditions[i] = condition
		return
	}
	status.Conditions = append(status.Conditions, condition)
}
