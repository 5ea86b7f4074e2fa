// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// fieldManager is the name under which the API server notes what the agent has written.
const fieldManager = "kata-agent"

// Publish writes report and condition in one patch of nodes/status, unless the Node says the same
// already. The patch carries the Node's UID, so that it never lands on another Node of the same
// name, and a patch never creates one.
func (c *Client) Publish(ctx context.Context, r node.Report, condition cluster.Condition, now time.Time) error {
	condition.Message = node.Sentence(condition.Message)
	n := c.latest()
	if n == nil {
		return cluster.ErrUnknownNode
	}
	if report.Equal(c.Reported(), r) && same(n.Status.Conditions, condition) {
		return nil
	}
	patch, err := patchOf(n, r, condition, now)
	if err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	answer, err := c.current().api.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if err != nil {
		return fmt.Errorf("reporting on node %s: %w", n.Name, err)
	}
	c.remember(answer)
	return nil
}

func patchOf(n *corev1.Node, r node.Report, c cluster.Condition, now time.Time) ([]byte, error) {
	document, err := r.Encode()
	if err != nil {
		return nil, err
	}
	patch := map[string]any{"metadata": map[string]any{"uid": n.UID, "annotations": map[string]string{node.ReportAnnotation: document}}}
	if change := conditionPatch(n.Status.Conditions, c, now); change != nil {
		patch["status"] = map[string]any{"conditions": []any{change}}
	}
	return json.Marshal(patch)
}

// conditionPatch leaves the time of the last transition alone while the status stays.
func conditionPatch(conditions []corev1.NodeCondition, c cluster.Condition, now time.Time) any {
	before, exists := find(conditions)
	if !c.Present {
		if !exists {
			return nil
		}
		return map[string]string{"$patch": "delete", "type": node.ReadyCondition}
	}
	after := corev1.NodeCondition{
		Type: node.ReadyCondition, Status: statusOf(c), Reason: c.Reason, Message: c.Message,
		LastHeartbeatTime: metav1.NewTime(now), LastTransitionTime: metav1.NewTime(now),
	}
	if exists && before.Status == after.Status {
		after.LastTransitionTime = before.LastTransitionTime
	}
	return after
}

func same(conditions []corev1.NodeCondition, c cluster.Condition) bool {
	before, exists := find(conditions)
	if exists != c.Present {
		return false
	}
	return !exists || before.Status == statusOf(c) && before.Reason == c.Reason && before.Message == c.Message
}

// conditionOf reads back what was written.
func conditionOf(conditions []corev1.NodeCondition) cluster.Condition {
	c, exists := find(conditions)
	return cluster.Condition{Present: exists, Ready: c.Status == corev1.ConditionTrue, Reason: c.Reason, Message: c.Message}
}

func find(conditions []corev1.NodeCondition) (corev1.NodeCondition, bool) {
	i := slices.IndexFunc(conditions, func(c corev1.NodeCondition) bool { return c.Type == node.ReadyCondition })
	if i < 0 {
		return corev1.NodeCondition{}, false
	}
	return conditions[i], true
}

func statusOf(c cluster.Condition) corev1.ConditionStatus {
	if c.Ready {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}
