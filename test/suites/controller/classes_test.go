// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
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

// classes returns every RuntimeClass of the cluster with the first key of its selector.
func (c *cluster) classes(ctx context.Context, t require.TestingT) map[string]string {
	list, err := c.kube.NodeV1().RuntimeClasses().List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	found := map[string]string{}
	for _, class := range list.Items {
		found[class.Name] = class.Handler
		if class.Scheduling != nil {
			for key := range class.Scheduling.NodeSelector {
				found[class.Name] += " on " + key
			}
		}
	}
	return found
}

func (c *cluster) awaitClasses(t *testing.T, want map[string]string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) { assert.Equal(t, want, c.classes(ctx, t)) })
}

func TestAliasesLiveFromTheFirstKataConfigThatNamesThemToTheLastFinalizer(t *testing.T) {
	t.Parallel()
	const ready, gone = "kata-oc on " + node.ReadyLabel, "kata-oc on " + runtimeclass.WithdrawnLabel
	c := start(t)
	theirs := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata"}, Handler: "kata"}
	classes := c.kube.NodeV1().RuntimeClasses()
	_, err := classes.Create(t.Context(), theirs, metav1.CreateOptions{})
	require.NoError(t, err)
	c.run(t, settings())
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	c.kataConfig(t, "kata", "{config: {runtimeClassAliases: [kata, kata-qemu], tolerations: [{key: a, operator: Exists}]}}")
	w.installs(t, payloadA)
	kc := c.awaitCounts(t, "kata", "1/0/0/0 of 1 RuntimeClassAliasConflict")
	assert.Contains(t, kc.Status.Conditions[2].Message, `RuntimeClass "kata", with handler "kata", exists and was not made by this controller`)
	c.awaitClasses(t, map[string]string{"kata-oc": ready, "kata-qemu": ready, "kata": "kata"})
	c.awaitTolerations(t, "kata-qemu", corev1.Toleration{Key: "a", Operator: "Exists"})

	require.NoError(t, classes.Delete(t.Context(), "kata", metav1.DeleteOptions{}))
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	c.awaitClasses(t, map[string]string{"kata-oc": ready, "kata-qemu": ready, "kata": ready})
	require.NoError(t, classes.Delete(t.Context(), "kata", metav1.DeleteOptions{}))
	c.awaitClasses(t, map[string]string{"kata-oc": ready, "kata-qemu": ready, "kata": ready})

	c.kataConfig(t, "kata", "{config: {runtimeClassAliases: [kata-qemu]}}")
	c.awaitClasses(t, map[string]string{"kata-oc": ready, "kata-qemu": ready, "kata": gone})
	require.NoError(t, classes.Delete(t.Context(), "kata", metav1.DeleteOptions{}))
	c.kataConfig(t, "kata", "{}")
	c.awaitClasses(t, map[string]string{"kata-oc": ready, "kata-qemu": gone})

	c.kataConfig(t, "kata", "{config: {runtimeClassAliases: [kata]}}")
	c.awaitClasses(t, map[string]string{"kata-oc": ready, "kata-qemu": gone, "kata": ready})
	c.delete(t, "kata")
	w.awaitIntent(t, node.StateAbsent, "")
	c.awaitClasses(t, map[string]string{"kata-oc": gone, "kata-qemu": gone, "kata": gone})
	w.removes(t)
	c.awaitGone(t, "kata")
	c.awaitClasses(t, map[string]string{})
}

// TestTheControllersAccountWritesNoClassOfOthers asks with all rights that RBAC can give.
func TestTheControllersAccountWritesNoClassOfOthers(t *testing.T) {
	t.Parallel()
	c := start(t)
	class := func(name, handler string, labels map[string]string) *nodev1.RuntimeClass {
		return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Handler: handler}
	}
	owned := map[string]string{runtimeclass.OwnerLabel: runtimeclass.Owner}
	alias := map[string]string{runtimeclass.OwnerLabel: runtimeclass.Owner, runtimeclass.AliasLabel: "kata"}
	classes := c.as(t, rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:masters"}}).NodeV1().RuntimeClasses()
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		_, err := classes.Create(ctx, class("runc", "runc", nil), dry)
		assert.ErrorContains(t, err, "writes no RuntimeClass but kata-oc and its aliases")
	})
	for _, bad := range []*nodev1.RuntimeClass{class("kata", "runc", alias), class("kata", "kata-oc", nil), class("kata", "kata-oc", owned), class("kata-2", "kata-oc", alias)} {
		_, err := classes.Create(t.Context(), bad, dry)
		require.ErrorContains(t, err, "writes no RuntimeClass but kata-oc and its aliases")
	}
	for _, good := range []*nodev1.RuntimeClass{class("kata-oc", "kata-oc", owned), class("kata", "kata-oc", alias)} {
		_, err := classes.Create(t.Context(), good, dry)
		require.NoError(t, err)
	}
	theirs, err := c.kube.NodeV1().RuntimeClasses().Create(t.Context(), class("kata", "kata-oc", nil), metav1.CreateOptions{})
	require.NoError(t, err, "others make what they want")
	require.ErrorContains(t, classes.Delete(t.Context(), "kata", metav1.DeleteOptions{}), "deletes no RuntimeClass that it has not made")
	theirs.Labels = alias
	_, err = classes.Update(t.Context(), theirs, metav1.UpdateOptions{})
	require.ErrorContains(t, err, "changes and deletes no RuntimeClass that it has not made")
	_, err = c.kube.NodeV1().RuntimeClasses().Update(t.Context(), theirs, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.NoError(t, classes.Delete(t.Context(), "kata", metav1.DeleteOptions{}))
}
