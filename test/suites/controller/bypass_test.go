// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// write is one to a Node in any form that the API server takes.
type write struct {
	by   *kubernetes.Clientset
	node string
	form types.PatchType
	body string
	sub  []string
}

func (w write) do(ctx context.Context) error {
	_, err := w.by.CoreV1().Nodes().Patch(ctx, w.node, w.form, []byte(w.body), metav1.PatchOptions{FieldManager: "x"}, w.sub...)
	return err
}

// applied is a Node for server-side apply.
func applied(name, kind, key string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Node","metadata":{"name":%q,%q:{%q:"true"}}}`, name, kind, key)
}

// Everybody here may write Nodes by every other rule, and an administrator makes the attempts.
func TestNoFormOfWriteGetsAroundThePolicies(t *testing.T) {
	t.Parallel()
	c := start(t)
	one := c.worker(t, "one")
	master := func(name string) *kubernetes.Clientset {
		return c.as(t, rest.ImpersonationConfig{UserName: name, Groups: []string{"system:masters"}})
	}
	status := []string{"status"}
	for name, w := range map[string]write{
		"a JSON patch":               {c.kube, "one", types.JSONPatchType, fmt.Sprintf(`[{"op":"add","path":"/metadata/annotations","value":{%q:"x"}}]`, node.IntentAnnotation), nil},
		"a merge patch":              {c.kube, "one", types.MergePatchType, annotate(node.IntentAnnotation, "x"), nil},
		"server-side apply":          {c.kube, "one", types.ApplyPatchType, applied("one", "annotations", node.IntentAnnotation), nil},
		"apply of the status":        {c.kube, "one", types.ApplyPatchType, applied("one", "labels", node.ReadyLabel), status},
		"apply of its own status":    {one.kube, "one", types.ApplyPatchType, applied("one", "annotations", node.IntentAnnotation), status},
		"apply that makes a Node":    {c.kube, "ghost", types.ApplyPatchType, applied("ghost", "labels", node.ReadyLabel), nil},
		"a label without value":      {c.kube, "one", types.MergePatchType, labelled(node.ReadyLabel, ""), nil},
		"another namespace's twin":   {master("system:serviceaccount:evil:" + account), "one", types.MergePatchType, annotate(node.IntentAnnotation, "x"), nil},
		"another node's name":        {master("system:node:two"), "one", types.MergePatchType, annotate(node.ReportAnnotation, "x"), nil},
		"a node that is a master":    {master("system:node:one"), "one", types.MergePatchType, labelled(node.ReadyLabel, "true"), nil},
		"a user who is only a name":  {master("system:node:"), "one", types.MergePatchType, annotate(node.ReportAnnotation, "x"), nil},
		"a label of almost our name": {one.kube, "one", types.MergePatchType, labelled("node-restriction.kubernetes.io/Kata-oc", "true"), nil},
	} {
		require.Error(t, w.do(t.Context()), name)
	}
	for name, change := range map[string]func(*corev1.Node) error{
		"a whole Node": func(n *corev1.Node) error {
			_, err := c.kube.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{})
			return err
		},
		"a whole status": func(n *corev1.Node) error {
			_, err := c.kube.CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{})
			return err
		},
	} {
		n, err := one.object(t.Context())
		require.NoError(t, err)
		n.Labels[node.ReadyLabel] = node.ReadyValue
		require.ErrorContains(t, change(n), "after the node has proved", name)
	}
	n, err := one.object(t.Context())
	require.NoError(t, err)
	assert.NotContains(t, n.Labels, node.ReadyLabel)
	assert.NotContains(t, n.Annotations, node.IntentAnnotation)
	_, err = c.kube.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "gen-", Annotations: map[string]string{node.ReportAnnotation: "x"},
	}}, metav1.CreateOptions{})
	require.Error(t, err, "a Node with a generated name")
	_, err = c.kube.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "gen-"}}, metav1.CreateOptions{})
	require.NoError(t, err, "a plain one")
}

// The API server stops an expression that costs too much, and refuses the write.
func TestPoliciesHoldNoWriteUpForTheSizeOfItsNode(t *testing.T) {
	t.Parallel()
	c := start(t)
	two := c.worker(t, "two")
	two.reports(t, node.PhaseIdle)
	annotations, labels := map[string]string{}, map[string]string{}
	for i := range 3000 {
		annotations[fmt.Sprintf("example.com/annotation-%05d", i)] = strings.Repeat("v", 40)
		labels[fmt.Sprintf("example.com/l-%05d", i)] = "v"
	}
	controller := c.as(t, rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:serviceaccounts", "system:authenticated"}})
	heartbeat := `{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`
	require.NoError(t, attempt{"two", "status", merge(map[string]any{"metadata": map[string]any{"annotations": annotations}})}.by(t.Context(), two.kube))
	require.NoError(t, attempt{"two", "", merge(map[string]any{"metadata": map[string]any{"labels": labels}})}.by(t.Context(), two.kube))
	require.NoError(t, attempt{"two", "status", heartbeat}.by(t.Context(), two.kube))
	require.NoError(t, attempt{"two", "status", heartbeat}.by(t.Context(), c.kube))
	require.NoError(t, attempt{"two", "", annotate(node.IntentAnnotation, "x")}.by(t.Context(), controller))
	require.NoError(t, attempt{"two", "", labelled(node.ReadyLabel, "true")}.by(t.Context(), controller))
	require.Error(t, controller.CoreV1().Nodes().Delete(t.Context(), "two", metav1.DeleteOptions{}))
}
