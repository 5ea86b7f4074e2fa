// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"encoding/json"
	"maps"
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

// tainted is worker with taints. The API server adds one to each new Node, not-ready, that the node
// lifecycle controller takes away.
func (c *cluster) tainted(t *testing.T, name string, taints ...corev1.Taint) *worker {
	t.Helper()
	config, err := c.NodeUser(name)
	require.NoError(t, err)
	kube, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	w := &worker{cluster: c, name: name, kube: kube}
	w.registerWith(t, taints)
	w.beat(t)
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		assert.Len(t, c.taints(ctx, t, name), len(taints))
	})
	return w
}

func (c *cluster) taints(ctx context.Context, t require.TestingT, name string) (keys []string) {
	n, err := c.kube.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	require.NoError(t, err)
	for _, taint := range n.Spec.Taints {
		keys = append(keys, taint.Key)
	}
	return keys
}

func TestTheStartUpTaintIsRemovedOnceTheNodeIsReadyAndNoOtherIs(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	w := c.tainted(t, "w",
		corev1.Taint{Key: "mine", Effect: corev1.TaintEffectNoSchedule},
		corev1.Taint{Key: node.StartupTaint, Effect: corev1.TaintEffectNoSchedule},
		corev1.Taint{Key: "ours", Value: "v", Effect: corev1.TaintEffectPreferNoSchedule},
		corev1.Taint{Key: node.StartupTaint, Effect: corev1.TaintEffectNoExecute},
	)
	w.reports(t, node.PhaseIdle)
	c.kataConfig(t, "kata", "{}")
	w.awaitIntent(t, node.StateInstalled, payloadA)
	w.reports(t, node.PhaseInstalling)
	assert.Contains(t, c.taints(t.Context(), t, "w"), node.StartupTaint)
	w.reports(t, node.PhaseInstalled)
	w.awaitLabel(t, true)
	assert.Equal(t, []string{"mine", "ours"}, c.taints(t.Context(), t, "w"), "in the same write as the label")
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	assert.Equal(t, 2, seen.nodeWrites("w"), "intent and label")

	require.NoError(t, attempt{"w", "", `{"spec":{"taints":[{"key":"` + node.StartupTaint + `","effect":"NoSchedule"},{"key":"mine","effect":"NoSchedule"}]}}`}.by(t.Context(), c.kube))
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		assert.Equal(t, []string{"mine"}, c.taints(ctx, t, "w"), "also where it comes back")
	})
}

func TestTheControllerMayRemoveNoOtherTaintAndChangeNothingElseWithIt(t *testing.T) {
	t.Parallel()
	c := start(t)
	startup := corev1.Taint{Key: node.StartupTaint, Effect: corev1.TaintEffectNoSchedule}
	a, b := corev1.Taint{Key: "a", Value: "1", Effect: corev1.TaintEffectNoSchedule}, corev1.Taint{Key: "b", Effect: corev1.TaintEffectNoSchedule}
	w := c.tainted(t, "w", a, startup, b)
	changed := a
	changed.Value = "2"
	patch := func(taints []corev1.Taint, more map[string]any) []byte {
		spec := map[string]any{"taints": taints}
		maps.Copy(spec, more)
		document, err := json.Marshal(map[string]any{"spec": spec})
		require.NoError(t, err)
		return document
	}
	dry := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
	controller := c.as(t, rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:masters"}})
	for name, bad := range map[string][]byte{
		"all":           patch(nil, nil),
		"another one":   patch([]corev1.Taint{a, startup}, nil),
		"another too":   patch([]corev1.Taint{a}, nil),
		"adds one":      patch([]corev1.Taint{a, b, {Key: "c", Effect: corev1.TaintEffectNoSchedule}}, nil),
		"changes one":   patch([]corev1.Taint{changed, b}, nil),
		"cordons":       patch([]corev1.Taint{a, b}, map[string]any{"unschedulable": true}),
		"provider":      patch([]corev1.Taint{a, b}, map[string]any{"providerID": "x"}),
		"pod addresses": patch([]corev1.Taint{a, b}, map[string]any{"podCIDR": "10.9.0.0/24", "podCIDRs": []string{"10.9.0.0/24"}}),
	} {
		_, err := controller.CoreV1().Nodes().Patch(t.Context(), "w", types.MergePatchType, bad, dry)
		require.ErrorContains(t, err, "changes nothing of a Node but its annotation, its labels and its start-up taint", name)
	}
	_, err := controller.CoreV1().Nodes().Patch(t.Context(), "w", types.MergePatchType, patch([]corev1.Taint{a, b}, nil), dry)
	require.NoError(t, err)
	_, err = w.kube.CoreV1().Nodes().Patch(t.Context(), "w", types.MergePatchType, patch([]corev1.Taint{a, b}, nil), dry)
	require.Error(t, err, "a kubelet does not remove its own taint")
}

// TestALabelForScaleFromZeroIsOneOfTheTemplateAlone has the two ways in which a node group could
// bring the ready label to a real Node. Both are refused: the label belongs to the template that
// the autoscaler simulates with.
func TestALabelForScaleFromZeroIsOneOfTheTemplateAlone(t *testing.T) {
	t.Parallel()
	c := start(t)
	config, err := c.NodeUser("w")
	require.NoError(t, err)
	kubelet, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	own := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w", Labels: map[string]string{node.ReadyLabel: node.ReadyValue}}}
	_, err = kubelet.CoreV1().Nodes().Create(t.Context(), own, metav1.CreateOptions{})
	require.Error(t, err, "by --node-labels of the kubelet")
	c.worker(t, "w")
	machines := c.as(t, rest.ImpersonationConfig{UserName: "system:serviceaccount:openshift-machine-api:machine-api-controllers", Groups: []string{"system:masters"}})
	err = attempt{"w", "", labelled(node.ReadyLabel, node.ReadyValue)}.by(t.Context(), machines)
	require.ErrorContains(t, err, "after the node has proved that it can run kata pods", "by labels of a Machine")
}
