// SPDX-License-Identifier: Apache-2.0

package nodeclient_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/nodeclient"
)

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

func hour(n int) time.Time { return noon().Add(time.Duration(n) * time.Hour) }

func says(phase node.Phase) node.Report {
	return node.Report{Version: node.Version, Speaks: []int{1}, BootID: "b", Architecture: "amd64", Phase: phase}
}

func ready(is bool, reason string) cluster.Condition {
	return cluster.Condition{Present: true, Ready: is, Reason: reason, Message: "a sentence"}
}

// condition returns ours on the Node, if it is there.
func (a *api) condition() *corev1.NodeCondition {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.node.Status.Conditions {
		if c.Type == node.ReadyCondition {
			return &c
		}
	}
	return nil
}

func TestReportAndConditionAreOnePatchForThisNodeAlone(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
	c := a.connect()
	require.NoError(t, c.Publish(t.Context(), says(node.PhaseInstalled), ready(true, "Installed"), noon()))
	require.Len(t, a.written(), 1)
	var patch struct {
		Metadata map[string]any `json:"metadata"`
		Status   map[string]any `json:"status"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.written()[0]), &patch))
	document, err := says(node.PhaseInstalled).Encode()
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"uid": "uid-1", "annotations": map[string]any{node.ReportAnnotation: document}}, patch.Metadata)
	assert.Equal(t, map[string]any{"conditions": []any{map[string]any{
		"type": "KataRuntimeReady", "status": "True", "reason": "Installed", "message": "a sentence",
		"lastHeartbeatTime": "2026-01-02T12:00:00Z", "lastTransitionTime": "2026-01-02T12:00:00Z",
	}}}, patch.Status)
	assert.Len(t, a.node.Status.Conditions, 2, "the kubelet's stay")
	assert.Equal(t, says(node.PhaseInstalled), c.Reported())
}

func TestNothingIsWrittenThatTheNodeSaysAlready(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &corev1.Node{})
	c := a.connect()
	a.mu.Lock()
	a.mute = true
	a.mu.Unlock()
	for range 3 {
		require.NoError(t, c.Publish(t.Context(), says(node.PhaseInstalled), ready(true, "Installed"), time.Now()))
	}
	assert.Len(t, a.written(), 1, "the API server's answer counts before the watch has it")

	a.mu.Lock()
	a.mute = false
	a.mu.Unlock()
	a.change(func(n *corev1.Node) { n.Labels = map[string]string{"new": "label"} })
	<-c.Changed()
	require.NoError(t, c.Publish(t.Context(), says(node.PhaseInstalled), ready(true, "Installed"), time.Now()))
	assert.Len(t, a.written(), 1)
}

func TestWhatSomebodyChangedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &corev1.Node{})
	c := a.connect()
	require.NoError(t, c.Publish(t.Context(), says(node.PhaseInstalled), ready(true, "Installed"), noon()))
	for want, change := range []func(n *corev1.Node){
		func(n *corev1.Node) { n.Annotations[node.ReportAnnotation] = "edited" },
		func(n *corev1.Node) { n.Status.Conditions = nil },
	} {
		a.change(change)
		a.await(c, func() bool {
			require.NoError(t, c.Publish(t.Context(), says(node.PhaseInstalled), ready(true, "Installed"), noon()))
			return len(a.written()) == want+2
		})
	}
}

func TestTheTimeOfTransitionChangesWithTheStatusAlone(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &corev1.Node{})
	c := a.connect()
	for i, step := range []struct {
		condition cluster.Condition
		status    corev1.ConditionStatus
		since     int
	}{
		{ready(false, "Installing"), corev1.ConditionFalse, 0},
		{ready(false, "PullPayloadFailed"), corev1.ConditionFalse, 0},
		{ready(true, "Installed"), corev1.ConditionTrue, 2},
		{ready(true, "PullPayloadFailed"), corev1.ConditionTrue, 2},
		{ready(false, "Removing"), corev1.ConditionFalse, 4},
	} {
		require.NoError(t, c.Publish(t.Context(), says(node.PhaseInstalling), step.condition, hour(i)))
		got := a.condition()
		require.NotNil(t, got)
		assert.Equal(t, step.status, got.Status)
		assert.Equal(t, step.condition.Reason, got.Reason)
		assert.True(t, got.LastTransitionTime.Time.Equal(hour(step.since)), "step %d: %s", i, got.LastTransitionTime)
	}
}

func TestTheConditionGoesWithTheInstallation(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &corev1.Node{})
	c := a.connect()
	require.NoError(t, c.Publish(t.Context(), says(node.PhaseIdle), cluster.Condition{}, noon()))
	assert.NotContains(t, a.written()[0], "status", "where there is none nothing is deleted")
	require.NoError(t, c.Publish(t.Context(), says(node.PhaseAbsent), ready(false, "Absent"), noon()))
	require.NotNil(t, a.condition())
	require.NoError(t, c.Publish(t.Context(), says(node.PhaseIdle), cluster.Condition{}, noon()))
	assert.Nil(t, a.condition())
	assert.Contains(t, a.written()[2], `{"$patch":"delete","type":"KataRuntimeReady"}`)
}

func TestReportsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	unknown := nodeclient.New("/not/there", logrus.New())
	require.ErrorIs(t, unknown.Publish(t.Context(), says(node.PhaseIdle), cluster.Condition{}, noon()), cluster.ErrUnknownNode)
	a := newAPI(t, &corev1.Node{})
	c := a.connect()
	require.ErrorContains(t, c.Publish(t.Context(), node.Report{}, cluster.Condition{}, noon()), "reporting: writing report: version 0")
	a.server.CloseClientConnections()
	a.server.Close()
	assert.ErrorContains(t, c.Publish(t.Context(), says(node.PhaseIdle), cluster.Condition{}, noon()), "reporting on node worker-1: ")
}

func TestAPatchIsBoundedWhateverComes(t *testing.T) {
	t.Parallel()
	for name, letter := range map[string]string{"plain": "x", "quotes": `"`, "escapes": "\x00<&>\u2028", "broken": "\xff", "wide": "\U0001F600", "lines": "\n"} {
		long := strings.Repeat(letter, 1<<20)
		r := says(node.PhaseBlocked)
		r.IntentID, r.BootID, r.Architecture, r.HostCheck, r.Payload, r.PayloadVersion = long, long, long, long, long, long
		r.InUse, r.BoundPods = slices.Repeat([]string{long}, 100), node.BoundPods{Count: 100, Names: slices.Repeat([]string{long}, 100)}
		r.Error = &node.Error{Step: long, Reason: long, Message: long, Since: noon()}
		a := newAPI(t, &corev1.Node{})
		c := a.connect()
		require.NoError(t, c.Publish(t.Context(), r, cluster.Condition{Present: true, Reason: "Blocked", Message: long}, noon()), name)
		assert.LessOrEqual(t, len(a.written()[0]), 16<<10, name)
		assert.LessOrEqual(t, len(a.node.Annotations[node.ReportAnnotation]), node.MaxReportBytes, name)
		assert.LessOrEqual(t, len(a.condition().Message), node.MaxSentence, name)
	}
}
