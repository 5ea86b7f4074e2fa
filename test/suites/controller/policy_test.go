// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// attempt is one write to one Node.
type attempt struct {
	node, subresource, patch string
}

func (a attempt) by(ctx context.Context, kube *kubernetes.Clientset) error {
	var subresources []string
	if a.subresource != "" {
		subresources = []string{a.subresource}
	}
	_, err := kube.CoreV1().Nodes().Patch(ctx, a.node, types.StrategicMergePatchType, []byte(a.patch), metav1.PatchOptions{}, subresources...)
	return err
}

func annotate(key, value string) string {
	return merge(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
}

func labelled(key, value string) string {
	return merge(map[string]any{"metadata": map[string]any{"labels": map[string]string{key: value}}})
}

func condition(status string) string {
	return merge(map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": node.ReadyCondition, "status": status}}}})
}

func unschedulable(value string) string { return `{"spec":{"unschedulable":` + value + `}}` }

// cordoned is the agent's own write: schedulability and mark in one.
func cordoned(mark, unschedulable string) string {
	return `{"metadata":{"annotations":{"` + node.CordonAnnotation + `":` + mark + `}},"spec":{"unschedulable":` + unschedulable + `}}`
}

func merge(patch map[string]any) string {
	document, err := json.Marshal(patch)
	if err != nil {
		panic(err)
	}
	return string(document)
}

func TestANodeSpeaksForItselfAlone(t *testing.T) {
	t.Parallel()
	c := start(t)
	one, two := c.worker(t, "one"), c.worker(t, "two")
	two.reports(t, node.PhaseIdle)

	for _, subresource := range []string{"", "status"} {
		for name, a := range map[string]attempt{
			"another node's report":      {"two", subresource, annotate(node.ReportAnnotation, "x")},
			"another node's condition":   {"two", "status", condition("True")},
			"another node's intent":      {"two", subresource, annotate(node.IntentAnnotation, "x")},
			"another node's cordon":      {"two", subresource, annotate(node.CordonAnnotation, "x")},
			"another node's service":     {"two", "", unschedulable("true")},
			"another node's ready label": {"two", subresource, labelled(node.ReadyLabel, "true")},
			"its own ready label":        {"one", subresource, labelled(node.ReadyLabel, "true")},
			"its own intent":             {"one", subresource, annotate(node.IntentAnnotation, "x")},
		} {
			require.Error(t, a.by(t.Context(), one.kube), "%s through nodes/%s", name, subresource)
		}
	}
	assert.NoError(t, attempt{"one", "status", annotate(node.ReportAnnotation, "x")}.by(t.Context(), one.kube))
	assert.NoError(t, attempt{"one", "", annotate(node.ReportAnnotation, "y")}.by(t.Context(), one.kube))
	assert.NoError(t, attempt{"one", "status", condition("True")}.by(t.Context(), one.kube))
	assert.NoError(t, attempt{"one", "status", `{"status":{"conditions":[{"type":"KataRuntimeReady","$patch":"delete"}]}}`}.by(t.Context(), one.kube))
	assert.NoError(t, attempt{"one", "", cordoned(`"boot"`, "true")}.by(t.Context(), one.kube))
	assert.NoError(t, attempt{"one", "", cordoned("null", "null")}.by(t.Context(), one.kube))
}

// What every node follows is written by no node.
func TestANodeWritesNoKataConfigAndNothingOfTheControllers(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.worker(t, "one")
	c.kataConfig(t, "kata", "{}")
	config, err := c.NodeUser("one")
	require.NoError(t, err)
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	configs := client.Resource(v1.GroupVersion().WithResource(v1.Resource))
	classes := client.Resource(nodev1.SchemeGroupVersion.WithResource("runtimeclasses"))
	ledgers := client.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(namespace)
	leases := client.Resource(coordinationv1.SchemeGroupVersion.WithResource("leases")).Namespace(namespace)
	object := func(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(kind)
		o.SetName(name)
		return o
	}
	kataConfig := v1.GroupVersion().WithKind(v1.Kind)
	paused, reported := []byte(`{"spec":{"config":{"paused":true}}}`), []byte(`{"status":{"totalNodesCount":1}}`)
	for name, writes := range map[string]func(context.Context) error{
		"reads KataConfigs": func(ctx context.Context) error {
			_, err := configs.List(ctx, metav1.ListOptions{})
			return err
		},
		"makes a KataConfig": func(ctx context.Context) error {
			_, err := configs.Create(ctx, object(kataConfig, "other"), metav1.CreateOptions{})
			return err
		},
		"changes a KataConfig": func(ctx context.Context) error {
			_, err := configs.Patch(ctx, "kata", types.MergePatchType, paused, metav1.PatchOptions{})
			return err
		},
		"changes its status": func(ctx context.Context) error {
			_, err := configs.Patch(ctx, "kata", types.MergePatchType, reported, metav1.PatchOptions{}, "status")
			return err
		},
		"deletes a KataConfig": func(ctx context.Context) error { return configs.Delete(ctx, "kata", metav1.DeleteOptions{}) },
		"makes a RuntimeClass": func(ctx context.Context) error {
			_, err := classes.Create(ctx, object(nodev1.SchemeGroupVersion.WithKind("RuntimeClass"), node.RuntimeClass), metav1.CreateOptions{})
			return err
		},
		"deletes a RuntimeClass": func(ctx context.Context) error {
			return classes.Delete(ctx, node.RuntimeClass, metav1.DeleteOptions{})
		},
		"makes a ledger": func(ctx context.Context) error {
			_, err := ledgers.Create(ctx, object(corev1.SchemeGroupVersion.WithKind("ConfigMap"), ledger.Name), metav1.CreateOptions{})
			return err
		},
		"takes the leader's lease": func(ctx context.Context) error {
			_, err := leases.Create(ctx, object(coordinationv1.SchemeGroupVersion.WithKind("Lease"), account), metav1.CreateOptions{})
			return err
		},
	} {
		require.True(t, apierrors.IsForbidden(writes(t.Context())), name)
	}
}

func TestANodeEvictsItsOwnPodsAlone(t *testing.T) {
	t.Parallel()
	c := start(t)
	one, two := c.worker(t, "one"), c.worker(t, "two")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: metav1.NamespaceDefault}, Spec: corev1.PodSpec{
		NodeName: "two", Containers: []corev1.Container{{Name: "c", Image: "registry.kata.test/none"}},
	}}
	_, err := c.kube.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	evict := func(ctx context.Context, kube *kubernetes.Clientset) error {
		return kube.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: pod.Namespace}})
	}
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		assert.ErrorContains(t, evict(ctx, one.kube), "can only evict pods with spec.nodeName set to itself")
	})
	eventually(t, func(t *assert.CollectT, ctx context.Context) { assert.NoError(t, evict(ctx, two.kube)) })
}

// TestPoliciesNameTheOnlyWriterOfEachKey lets an administrator try what a node may not: the
// policies themselves refuse it, not only the admission plugin.
func TestPoliciesNameTheOnlyWriterOfEachKey(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.worker(t, "one")
	for _, x := range []struct {
		attempt attempt
		says    string
	}{
		{attempt{"one", "", annotate(node.IntentAnnotation, "x")}, "change the KataConfig instead"},
		{attempt{"one", "status", annotate(node.IntentAnnotation, "x")}, "change the KataConfig instead"},
		{attempt{"one", "", labelled(node.ReadyLabel, "true")}, "after the node has proved"},
		{attempt{"one", "status", labelled(node.ReadyLabel, "true")}, "after the node has proved"},
		{attempt{"one", "", annotate(node.ReportAnnotation, "x")}, "written by the node itself alone"},
		{attempt{"one", "status", annotate(node.ReportAnnotation, "x")}, "written by the node itself alone"},
		{attempt{"one", "status", condition("True")}, "written by the node itself alone"},
		{attempt{"one", "", annotate(node.CordonAnnotation, "x")}, "which nodes its agent makes schedulable again"},
		{attempt{"one", "status", annotate(node.CordonAnnotation, "x")}, "which nodes its agent makes schedulable again"},
		{attempt{"one", "", cordoned(`"x"`, "true")}, "which nodes its agent makes schedulable again"},
	} {
		assert.ErrorContains(t, x.attempt.by(t.Context(), c.kube), x.says)
	}
}

func TestNoNodeIsCreatedWithKeysOfOthers(t *testing.T) {
	t.Parallel()
	c := start(t)
	config, err := c.NodeUser("fresh")
	require.NoError(t, err)
	kubelet, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	ready := corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: node.ReadyCondition, Status: corev1.ConditionTrue}}}
	for name, n := range map[string]*corev1.Node{
		"intent": {ObjectMeta: metav1.ObjectMeta{Name: "fresh", Annotations: map[string]string{node.IntentAnnotation: "x"}}},
		"label":  {ObjectMeta: metav1.ObjectMeta{Name: "fresh", Labels: map[string]string{node.ReadyLabel: "true"}}},
	} {
		_, err := kubelet.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{})
		require.Error(t, err, "a node with its own %s", name)
		_, err = c.kube.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{})
		require.Error(t, err, "an administrator with a node's %s", name)
	}
	_, err = c.kube.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "fresh"}, Status: ready}, metav1.CreateOptions{})
	require.Error(t, err, "an administrator with a node's condition")
	_, err = kubelet.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "fresh", Annotations: map[string]string{node.ReportAnnotation: "x"}}, Status: ready,
	}, metav1.CreateOptions{})
	assert.NoError(t, err, "a node with its own report and condition")
}

func TestHeartbeatsAlwaysPass(t *testing.T) {
	t.Parallel()
	c := start(t)
	bare, err := c.kube.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	assert.Empty(t, bare.Annotations)
	config, err := c.NodeUser("bare")
	require.NoError(t, err)
	kubelet, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	for _, patch := range []string{
		`{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`,
		`{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]},"metadata":{"annotations":{"volumes.kubernetes.io/controller-managed-attach-detach":"true"}}}`,
	} {
		require.NoError(t, attempt{"bare", "status", patch}.by(t.Context(), kubelet))
	}
	assert.NoError(t, attempt{"bare", "", labelled("a", "b")}.by(t.Context(), c.kube))
	assert.NoError(t, attempt{"bare", "", `{"spec":{"unschedulable":true}}`}.by(t.Context(), c.kube))
}

// TestTheControllersAccountIsHeldToItsTwoKeys gives the account every right first: what is refused
// is refused by the policy.
func TestTheControllersAccountIsHeldToItsTwoKeys(t *testing.T) {
	t.Parallel()
	c := start(t)
	one := c.worker(t, "one", "team=a")
	one.reports(t, node.PhaseIdle)
	require.NoError(t, attempt{"one", "", `{"metadata":{"annotations":{"a":"b"},"finalizers":["example.com/f"]}}`}.by(t.Context(), c.kube))
	mighty := c.as(t, rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:masters"}})
	for name, a := range map[string]attempt{
		"adds a label":           {"one", "", labelled("x", "y")},
		"changes a label":        {"one", "", labelled("team", "b")},
		"removes a label":        {"one", "", `{"metadata":{"labels":{"team":null}}}`},
		"adds an annotation":     {"one", "", annotate("x", "y")},
		"changes an annotation":  {"one", "", annotate("a", "c")},
		"removes an annotation":  {"one", "", `{"metadata":{"annotations":{"a":null}}}`},
		"writes a report":        {"one", "", annotate(node.ReportAnnotation, "x")},
		"cordons":                {"one", "", `{"spec":{"unschedulable":true}}`},
		"taints":                 {"one", "", `{"spec":{"taints":[{"key":"a","effect":"NoExecute"}]}}`},
		"writes status":          {"one", "status", `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`},
		"writes capacity":        {"one", "status", `{"status":{"capacity":{"example.com/x":"1"}}}`},
		"adds a finalizer":       {"one", "", `{"metadata":{"finalizers":["example.com/g"]}}`},
		"removes the finalizers": {"one", "", `{"metadata":{"finalizers":[],"$deleteFromPrimitiveList/finalizers":["example.com/f"]}}`},
		"names an owner":         {"one", "", `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"one","uid":"x"}]}}`},
		"label through status":   {"one", "status", labelled("x", "y")},
	} {
		require.ErrorContains(t, a.by(t.Context(), mighty), "denied request", name)
	}
	_, err := mighty.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, metav1.CreateOptions{})
	require.ErrorContains(t, err, "creates no Nodes")
	assert.NoError(t, attempt{"one", "", annotate(node.IntentAnnotation, "x")}.by(t.Context(), mighty))
	assert.NoError(t, attempt{"one", "", labelled(node.ReadyLabel, "true")}.by(t.Context(), mighty))
	assert.NoError(t, attempt{"one", "", `{"metadata":{"annotations":{"kataconfiguration.openshift.io/intent":null},"labels":{"node-restriction.kubernetes.io/kata-oc":null}}}`}.by(t.Context(), mighty))
}

func TestWhoMayDeleteThePolicyMayRemoveAKey(t *testing.T) {
	t.Parallel()
	c := start(t)
	one := c.worker(t, "one")
	one.reports(t, node.PhaseIdle)
	mighty := c.as(t, rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:masters"}})
	require.NoError(t, attempt{"one", "", annotate(node.IntentAnnotation, "x")}.by(t.Context(), mighty))
	require.NoError(t, attempt{"one", "", labelled(node.ReadyLabel, "true")}.by(t.Context(), mighty))
	require.NoError(t, attempt{"one", "", cordoned(`"boot"`, "true")}.by(t.Context(), one.kube))

	require.NoError(t, c.apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: edits-nodes}, rules: [{apiGroups: [""], resources: [nodes], verbs: [patch]}]}`))
	require.NoError(t, c.apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: edits-nodes}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edits-nodes}, subjects: [{kind: User, name: alice}]}`))
	alice := c.as(t, rest.ImpersonationConfig{UserName: "alice"})
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		assert.NoError(t, attempt{"one", "", labelled("alice", "here")}.by(ctx, alice))
	})
	for _, patch := range []string{
		`{"metadata":{"annotations":{"kataconfiguration.openshift.io/intent":null}}}`,
		`{"metadata":{"annotations":{"kataconfiguration.openshift.io/report":null}}}`,
		`{"metadata":{"labels":{"node-restriction.kubernetes.io/kata-oc":null}}}`,
		cordoned("null", "true"),
	} {
		require.ErrorContains(t, attempt{"one", "", patch}.by(t.Context(), alice), "denied request", patch)
		assert.NoError(t, attempt{"one", "", patch}.by(t.Context(), c.kube), patch)
	}
}
