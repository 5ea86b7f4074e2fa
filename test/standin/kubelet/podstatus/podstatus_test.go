// SPDX-License-Identifier: Apache-2.0

package podstatus_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/podstatus"
)

func at(minutes int) time.Time { return time.Date(2026, 1, 2, 3, 4+minutes, 5, 0, time.UTC) }

func pod(status corev1.PodStatus) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}, Status: status}
}

func holds(status corev1.PodStatus, kind corev1.PodConditionType) corev1.ConditionStatus {
	for _, c := range status.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return corev1.ConditionUnknown
}

func TestAWaitingPodSaysWhy(t *testing.T) {
	t.Parallel()
	got := podstatus.Waiting(pod(corev1.PodStatus{}), "no handler", at(0))
	assert.Equal(t, corev1.PodPending, got.Phase)
	assert.Equal(t, corev1.ConditionFalse, holds(got, corev1.PodReady))
	require.Len(t, got.ContainerStatuses, 1)
	assert.Equal(t, &corev1.ContainerStateWaiting{Reason: "ContainerCreating", Message: "no handler"}, got.ContainerStatuses[0].State.Waiting)
	assert.Equal(t, "no handler", podstatus.WaitingMessage(pod(got)))
}

func TestARunningPodIsReady(t *testing.T) {
	t.Parallel()
	before := pod(podstatus.Waiting(pod(corev1.PodStatus{}), "", at(0)))
	got := podstatus.Running(before, podstatus.Sandbox{Attempt: 2, Created: at(0)}, "10.0.0.1", at(1))
	assert.Equal(t, corev1.PodRunning, got.Phase)
	assert.Equal(t, corev1.ConditionTrue, holds(got, corev1.PodReady))
	assert.Equal(t, "10.0.0.1", got.HostIP)
	assert.Empty(t, got.PodIP)
	assert.True(t, got.ContainerStatuses[0].Ready)
	assert.EqualValues(t, 2, got.ContainerStatuses[0].RestartCount)
	assert.True(t, got.StartTime.Time.Equal(at(0)), "the start time is set once")
	assert.Empty(t, podstatus.WaitingMessage(pod(got)))
}

func TestAPodWithHostNetworkHasTheNodesAddress(t *testing.T) {
	t.Parallel()
	p := pod(corev1.PodStatus{})
	p.Spec.HostNetwork = true
	assert.Equal(t, "10.0.0.1", podstatus.Running(p, podstatus.Sandbox{Created: at(0)}, "10.0.0.1", at(0)).PodIP)
}

func TestAStatusSaidTwiceIsTheSame(t *testing.T) {
	t.Parallel()
	by := podstatus.Sandbox{Created: at(0).Add(time.Millisecond)}
	once := podstatus.Running(pod(corev1.PodStatus{}), by, "10.0.0.1", at(0))
	assert.Equal(t, once, podstatus.Running(pod(once), by, "10.0.0.1", at(1)))
}

func TestAPhaseNeverMovesBack(t *testing.T) {
	t.Parallel()
	got := podstatus.Waiting(pod(corev1.PodStatus{Phase: corev1.PodRunning}), "sandbox died", at(0))
	assert.Equal(t, corev1.PodRunning, got.Phase)
	assert.Equal(t, corev1.ConditionFalse, holds(got, corev1.PodReady))
}

func TestConditionsOfOthersAreKept(t *testing.T) {
	t.Parallel()
	foreign := corev1.PodCondition{Type: "example.test/gate", Status: corev1.ConditionTrue}
	before := pod(corev1.PodStatus{Conditions: []corev1.PodCondition{foreign}})
	assert.Contains(t, podstatus.Waiting(before, "", at(0)).Conditions, foreign)
	assert.Len(t, before.Status.Conditions, 1, "the pod handed in is not changed")
}

func TestARejectedPodIsFailedForGood(t *testing.T) {
	t.Parallel()
	running := pod(podstatus.Running(pod(corev1.PodStatus{}), podstatus.Sandbox{Created: at(0)}, "10.0.0.1", at(0)))
	got := podstatus.Rejected(running, "NodeAffinity", "it does not match", at(1))
	assert.Equal(t, corev1.PodStatus{
		Phase: corev1.PodFailed, Reason: "NodeAffinity", Message: "Pod was rejected: it does not match", StartTime: &metav1.Time{Time: at(0)},
	}, got)
	assert.True(t, podstatus.Final(pod(got)))
}

func TestAPodNeverToRestartFailsWithItsSandbox(t *testing.T) {
	t.Parallel()
	got := podstatus.Died(pod(corev1.PodStatus{Phase: corev1.PodRunning}), at(0))
	assert.Equal(t, corev1.PodFailed, got.Phase)
	assert.NotNil(t, got.ContainerStatuses[0].State.Terminated)
}
