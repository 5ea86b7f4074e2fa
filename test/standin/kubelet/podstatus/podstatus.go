// SPDX-License-Identifier: Apache-2.0

// Package podstatus computes what the kubelet writes into a pod's status. It runs no containers, so
// every container of a pod is as alive as the pod's sandbox; conditions of other writers are kept.
package podstatus

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Sandbox is what a status needs to know about the sandbox that serves a pod.
type Sandbox struct {
	Attempt uint32
	Created time.Time
}

// Final reports whether a pod has reached a phase that the kubelet never leaves again.
func Final(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// Rejected is the status of a pod that admission turned away; nothing of an earlier status is kept.
func Rejected(pod *corev1.Pod, reason, message string, now time.Time) corev1.PodStatus {
	return corev1.PodStatus{
		Phase:     corev1.PodFailed,
		QOSClass:  pod.Status.QOSClass,
		Reason:    reason,
		Message:   "Pod was rejected: " + message,
		StartTime: startTime(pod, now),
	}
}

// Died is the status of a pod whose sandbox ended and is not to be restarted.
func Died(pod *corev1.Pod, now time.Time) corev1.PodStatus {
	status := base(pod, corev1.PodFailed, now)
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown", FinishedAt: metav1.NewTime(now)}}
	setContainers(&status, pod, false, 0, ended)
	setConditions(&status, false, now)
	return status
}

// Waiting is the status of a pod without a sandbox; a pod that ran before stays in phase Running,
// as phases only move forward.
func Waiting(pod *corev1.Pod, message string, now time.Time) corev1.PodStatus {
	phase := corev1.PodPending
	if pod.Status.Phase == corev1.PodRunning {
		phase = corev1.PodRunning
	}
	status := base(pod, phase, now)
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating", Message: message}}
	setContainers(&status, pod, false, 0, waiting)
	setConditions(&status, false, now)
	return status
}

// WaitingMessage is the message of a Waiting status, or "".
func WaitingMessage(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Waiting != nil {
			return c.State.Waiting.Message
		}
	}
	return ""
}

// Running is the status of a pod that a sandbox serves.
func Running(pod *corev1.Pod, serving Sandbox, hostIP string, now time.Time) corev1.PodStatus {
	status := base(pod, corev1.PodRunning, now)
	status.HostIP, status.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	if pod.Spec.HostNetwork {
		status.PodIP, status.PodIPs = hostIP, []corev1.PodIP{{IP: hostIP}}
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(serving.Created.Truncate(time.Second))}}
	setContainers(&status, pod, true, int32(serving.Attempt), running) //nolint:gosec // attempts are few
	setConditions(&status, true, now)
	return status
}

func base(pod *corev1.Pod, phase corev1.PodPhase, now time.Time) corev1.PodStatus {
	status := *pod.Status.DeepCopy()
	status.Phase, status.Reason, status.Message = phase, "", ""
	status.StartTime = startTime(pod, now)
	return status
}

func startTime(pod *corev1.Pod, now time.Time) *metav1.Time {
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime
	}
	return new(metav1.NewTime(now.Truncate(time.Second)))
}

func setContainers(status *corev1.PodStatus, pod *corev1.Pod, up bool, restarts int32, state corev1.ContainerState) {
	status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, State: state, Ready: up, Started: new(up), RestartCount: restarts}
		status.ContainerStatuses = append(status.ContainerStatuses, s)
	}
}

func setConditions(status *corev1.PodStatus, up bool, now time.Time) {
	setCondition(status, corev1.PodReadyToStartContainers, up, "", now)
	setCondition(status, corev1.PodInitialized, true, "", now)
	setCondition(status, corev1.ContainersReady, up, "ContainersNotReady", now)
	setCondition(status, corev1.PodReady, up, "ContainersNotReady", now)
	setCondition(status, corev1.PodScheduled, true, "", now)
}

func setCondition(status *corev1.PodStatus, kind corev1.PodConditionType, holds bool, reason string, now time.Time) {
	condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second))}
	if !holds {
		condition.Status, condition.Reason = corev1.ConditionFalse, reason
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
