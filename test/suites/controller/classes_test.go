// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// awaitTolerations waits until the class of this name has exactly these.
func (c *cluster) awaitTolerations(t *testing.T, class string, want ...corev1.Toleration) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		found, err := c.kube.NodeV1().RuntimeClasses().Get(ctx, class, metav1.GetOptions{})
		if assert.NoError(t, err) && assert.NotNil(t, found.Scheduling) {
			assert.Equal(t, want, found.Scheduling.Tolerations)
		}
	})
}

// TestKataPodsTolerateWhatTheKataConfigsSay has KataConfigs that select no node: pools that are
// scaled from zero.
func TestKataPodsTolerateWhatTheKataConfigsSay(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.run(t, settings())
	c.kataConfig(t, "one", "{kataConfigPoolSelector: {matchLabels: {pool: one}}, config: {tolerations: [{key: b, operator: Exists}, {key: a, value: x, effect: NoSchedule}, {key: a, value: x, effect: NoSchedule}]}}")
	a := corev1.Toleration{Key: "a", Operator: "Equal", Value: "x", Effect: "NoSchedule"}
	b := corev1.Toleration{Key: "b", Operator: "Exists"}
	everything := corev1.Toleration{Operator: "Exists", Effect: "NoExecute", TolerationSeconds: new(int64(60))}
	c.awaitTolerations(t, node.RuntimeClass, a, b)
	c.kataConfig(t, "two", "{kataConfigPoolSelector: {matchLabels: {pool: two}}, config: {tolerations: [{operator: Exists, effect: NoExecute, tolerationSeconds: 60}, {key: b, operator: Exists}]}}")
	c.awaitTolerations(t, node.RuntimeClass, everything, a, b)

	kata := node.RuntimeClass
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}, Spec: corev1.PodSpec{
		RuntimeClassName: &kata, Containers: []corev1.Container{{Name: "c", Image: "registry.kata.test/none"}},
	}}
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		made, err := c.kube.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if assert.NoError(t, err) {
			assert.Subset(t, made.Spec.Tolerations, []corev1.Toleration{everything, a, b})
		}
	})

	c.delete(t, "two")
	c.awaitGone(t, "two")
	c.awaitTolerations(t, node.RuntimeClass, a, b)
	classes := c.kube.NodeV1().RuntimeClasses()
	edited, err := classes.Get(t.Context(), node.RuntimeClass, metav1.GetOptions{})
	require.NoError(t, err)
	edited.Scheduling.Tolerations = nil
	_, err = classes.Update(t.Context(), edited, metav1.UpdateOptions{})
	require.NoError(t, err)
	c.awaitTolerations(t, node.RuntimeClass, a, b)
	c.kataConfig(t, "one", "{kataConfigPoolSelector: {matchLabels: {pool: one}}}")
	c.awaitTolerations(t, node.RuntimeClass)
}
