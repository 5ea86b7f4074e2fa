// SPDX-License-Identifier: Apache-2.0

package nodestatus_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/nodestatus"
)

func at(seconds int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

func status(ready bool, handlers ...string) *cri.StatusResponse {
	answer := &cri.StatusResponse{Status: &cri.RuntimeStatus{Conditions: []*cri.RuntimeCondition{
		{Type: cri.RuntimeReady, Status: ready, Message: "because"}, {Type: cri.NetworkReady, Status: true},
	}}}
	for _, h := range handlers {
		answer.RuntimeHandlers = append(answer.RuntimeHandlers, &cri.RuntimeHandler{Name: h})
	}
	return answer
}

func healthy(handlers ...string) nodestatus.Runtime {
	return nodestatus.Runtime{}.Observe(&cri.VersionResponse{RuntimeName: "cri-o", RuntimeVersion: "1.37.0"}, status(true, handlers...), at(0))
}

func machine() nodestatus.Machine {
	return nodestatus.Machine{Name: "n1", IP: "10.0.0.1", BootID: "boot-1", KernelVersion: "6.1", OSImage: "Test"}
}

func find(t *testing.T, node *corev1.Node, kind corev1.NodeConditionType) corev1.NodeCondition {
	t.Helper()
	for _, c := range node.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	require.Fail(t, "no condition "+string(kind))
	return corev1.NodeCondition{}
}

func names(handlers []corev1.NodeRuntimeHandler) []string {
	var out []string
	for _, h := range handlers {
		out = append(out, h.Name)
	}
	return out
}

func TestANewNodeHasDefaultLabelsOnly(t *testing.T) {
	t.Parallel()
	node := nodestatus.Initial(machine(), healthy("crun"), at(1))
	assert.Equal(t, "n1", node.Name)
	assert.Equal(t, "n1", node.Labels[corev1.LabelHostname])
	assert.Equal(t, "linux", node.Labels[corev1.LabelOSStable])
	assert.NotContains(t, node.Labels, "node-restriction.kubernetes.io/kata-oc")
	assert.Equal(t, "v1.37.2", node.Status.NodeInfo.KubeletVersion)
	assert.Equal(t, "cri-o://1.37.0", node.Status.NodeInfo.ContainerRuntimeVersion)
	assert.Equal(t, "boot-1", node.Status.NodeInfo.BootID)
	assert.True(t, nodestatus.Ready(node))
}

func TestHandlersComeFromTheRuntimeInOrderOfName(t *testing.T) {
	t.Parallel()
	node := nodestatus.Initial(machine(), healthy("kata-oc", "", "crun"), at(1))
	assert.Equal(t, []string{"", "crun", "kata-oc"}, names(node.Status.RuntimeHandlers))
}

func TestHandlersOfARuntimeThatIsNotReadyAreTheOldOnes(t *testing.T) {
	t.Parallel()
	runtime := healthy("crun").Observe(&cri.VersionResponse{}, status(false, "crun", "kata-oc"), at(5))
	assert.Equal(t, []string{"crun"}, names(runtime.Handlers))
	assert.ErrorContains(t, runtime.Problem(at(5)), "container runtime not ready: because")
}

func TestASilentRuntimeIsDownAfterHalfAMinute(t *testing.T) {
	t.Parallel()
	runtime := healthy("crun")
	require.NoError(t, runtime.Problem(at(29)))
	node, changed := nodestatus.Update(nodestatus.Initial(machine(), runtime, at(0)), machine(), runtime, at(30))
	assert.True(t, changed)
	ready := find(t, node, corev1.NodeReady)
	assert.Equal(t, corev1.ConditionFalse, ready.Status)
	assert.Equal(t, "container runtime is down", ready.Message)
	assert.True(t, ready.LastTransitionTime.Time.Equal(at(30)))
	assert.Equal(t, []string{"crun"}, names(node.Status.RuntimeHandlers), "what it last said stays on the node")
}

func TestANodeIsNotReadyBeforeTheRuntimesFirstAnswer(t *testing.T) {
	t.Parallel()
	node := nodestatus.Initial(machine(), nodestatus.Runtime{}, at(0))
	assert.False(t, nodestatus.Ready(node))
	assert.Empty(t, node.Status.RuntimeHandlers)
}

func TestAHeartbeatAloneIsNoChange(t *testing.T) {
	t.Parallel()
	first := nodestatus.Initial(machine(), healthy("crun"), at(0))
	next, changed := nodestatus.Update(first, machine(), healthy("crun"), at(10))
	assert.False(t, changed)
	assert.True(t, find(t, next, corev1.NodeReady).LastHeartbeatTime.Time.Equal(at(10)))
	assert.True(t, find(t, next, corev1.NodeReady).LastTransitionTime.Time.Equal(at(0)))
}

func TestConditionsAndLabelsOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	node := nodestatus.Initial(machine(), healthy("crun"), at(0))
	foreign := corev1.NodeCondition{Type: "KataRuntimeReady", Status: corev1.ConditionTrue, Message: "ok"}
	node.Status.Conditions = append(node.Status.Conditions, foreign)
	node.Labels["node-restriction.kubernetes.io/kata-oc"] = "true"
	updated, _ := nodestatus.Update(node, machine(), healthy("crun", "kata-oc"), at(10))
	assert.Equal(t, foreign, find(t, updated, "KataRuntimeReady"))
	assert.Equal(t, "true", updated.Labels["node-restriction.kubernetes.io/kata-oc"])
	assert.Equal(t, []string{"crun"}, names(node.Status.RuntimeHandlers), "the node handed in is not changed")
}

func TestARebootChangesTheNode(t *testing.T) {
	t.Parallel()
	rebooted := machine()
	rebooted.BootID = "boot-2"
	node, changed := nodestatus.Update(nodestatus.Initial(machine(), healthy(), at(0)), rebooted, healthy(), at(1))
	assert.True(t, changed)
	assert.Equal(t, "boot-2", node.Status.NodeInfo.BootID)
}
