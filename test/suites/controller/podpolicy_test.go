// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// tenants starts a cluster with a KataConfig, the policies for pods, and nothing bound.
func tenants(t *testing.T, policies ...string) *cluster {
	t.Helper()
	c := start(t)
	c.run(t, settings())
	c.kataConfig(t, "kata", "{config: {runtimeClassAliases: [kata], tolerations: [{key: sandboxes, operator: Exists}]}}")
	c.awaitRuntimeClass(t, node.ReadyLabel)
	eventually(t, func(t *assert.CollectT, ctx context.Context) { assert.Len(t, c.classes(ctx, t), 2) })
	for _, file := range policies {
		require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "policy", file)))
	}
	return c
}

// namespace makes a namespace with a value of the label that the policies read, and lets a user
// make pods and workloads in it.
func (c *cluster) namespace(t *testing.T, name, kata string, users ...string) {
	t.Helper()
	label := ""
	if kata != "" {
		label = "kataconfiguration.openshift.io/kata: " + kata
	}
	subjects := ""
	for _, user := range users {
		subjects += "{apiGroup: rbac.authorization.k8s.io, kind: User, name: " + user + "},"
	}
	require.NoError(t, c.apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: `+name+`, labels: {`+label+`}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: tenant, namespace: `+name+`}
rules: [{apiGroups: ["", apps, batch], resources: [pods, deployments, daemonsets, jobs], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: `+name+`}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant}
subjects: [`+subjects+`]
`))
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		_, err := c.kube.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		assert.NoError(t, err)
	})
}

// user is a client of somebody with a certificate.
func (c *cluster) user(t *testing.T, name string) *kubernetes.Clientset {
	t.Helper()
	config, err := c.User(name)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

func podSpec(class string) corev1.PodSpec {
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "registry.kata.test/none"}}}
	if class != "" {
		spec.RuntimeClassName = &class
	}
	return spec
}

// try makes a pod, dry.
func try(ctx context.Context, client *kubernetes.Clientset, namespace string, spec corev1.PodSpec) (*corev1.Pod, error) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: spec}
	return client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

// workload makes a Deployment, a Job and a DaemonSet as a user, each with one pod.
func workload(t *testing.T, client *kubernetes.Clientset, namespace, name string, spec corev1.PodSpec) {
	t.Helper()
	meta, labels := metav1.ObjectMeta{Name: name}, map[string]string{"app": name}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	_, err := client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.AppsV1().DaemonSets(namespace).Create(t.Context(), &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}, metav1.CreateOptions{})
	require.NoError(t, err)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err = client.BatchV1().Jobs(namespace).Create(t.Context(), &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{Template: template}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// makers are the kinds that make the pods of a workload.
func makers() []string { return []string{"DaemonSet", "Job", "ReplicaSet"} }

// awaitPods waits until each of the workload's makers has made its pod with this class.
func (c *cluster) awaitPods(t *testing.T, namespace, name, class string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		pods, err := c.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
		require.NoError(t, err)
		made := []string{}
		for _, p := range pods.Items {
			assert.Equal(t, class, deref(p.Spec.RuntimeClassName))
			made = append(made, metav1.GetControllerOf(&p).Kind)
		}
		slices.Sort(made)
		assert.Equal(t, makers(), made)
	})
}

// awaitRefusals waits until each of the workload's makers has said why it cannot make its pod.
func (c *cluster) awaitRefusals(t *testing.T, namespace, name, says string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		events, err := c.kube.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
		require.NoError(t, err)
		refused := map[string]bool{}
		for _, e := range events.Items {
			if strings.HasPrefix(e.InvolvedObject.Name, name) {
				assert.Contains(t, e.Message, says)
				refused[e.InvolvedObject.Kind] = true
			}
		}
		assert.Equal(t, makers(), slices.Sorted(maps.Keys(refused)))
	})
	pods, err := c.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
	require.NoError(t, err)
	assert.Empty(t, pods.Items)
}

func deref(class *string) string {
	if class == nil {
		return ""
	}
	return *class
}

// awaitRefused tries a pod, dry, until it is refused with this.
func awaitRefused(t *testing.T, client *kubernetes.Clientset, namespace string, spec corev1.PodSpec, says string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		_, err := try(ctx, client, namespace, spec)
		assert.ErrorContains(t, err, says)
	})
}

// admitted tries a pod, dry.
func admitted(t *testing.T, client *kubernetes.Clientset, namespace string, spec corev1.PodSpec) {
	t.Helper()
	_, err := try(t.Context(), client, namespace, spec)
	require.NoError(t, err)
}

func TestOnlyThoseWithVerbUseRunKataPods(t *testing.T) {
	t.Parallel()
	c := tenants(t, "users.yaml")
	c.worker(t, "w")
	c.namespace(t, "team", "", "alice", "bob")
	c.namespace(t, "other", "", "alice")
	alice, bob := c.user(t, "alice"), c.user(t, "bob")
	admitted(t, bob, "team", podSpec("kata-oc")) // Nothing is bound yet.
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "policy", "bind-users.yaml")))
	const says = "neither the requesting user nor service account default may use RuntimeClass kata"
	awaitRefused(t, alice, "team", podSpec("kata-oc"), says+"-oc in namespace team: bind ClusterRole kata-user to one of them there")
	awaitRefused(t, alice, "team", podSpec("kata"), says+" in namespace team")
	require.NoError(t, c.apply(t, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: runner, namespace: team}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: kata-users, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kata-user}
subjects:
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}
  - {kind: ServiceAccount, name: runner, namespace: team}
`))
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		_, err := try(ctx, alice, "team", podSpec("kata-oc"))
		assert.NoError(t, err)
	})
	admitted(t, alice, "team", podSpec("kata"))
	_, err := try(t.Context(), alice, "other", podSpec("kata-oc"))
	require.ErrorContains(t, err, "may use RuntimeClass kata-oc in namespace other", "the binding is for one namespace")
	_, err = try(t.Context(), bob, "team", podSpec("kata-oc"))
	require.ErrorContains(t, err, says)
	admitted(t, bob, "team", podSpec(""))

	workload(t, alice, "team", "refused", podSpec("kata-oc"))
	runs := podSpec("kata-oc")
	runs.ServiceAccountName = "runner"
	workload(t, bob, "team", "runs", runs)
	workload(t, bob, "team", "ordinary", podSpec(""))
	c.awaitPods(t, "team", "runs", "kata-oc")
	c.awaitPods(t, "team", "ordinary", "")
	c.awaitRefusals(t, "team", "refused", says)
}

func TestEveryPodOfANamespaceRunsWithKata(t *testing.T) {
	t.Parallel()
	c := tenants(t, "namespaces.yaml", "default-class.yaml")
	c.worker(t, "w")
	c.namespace(t, "untrusted", "always", "alice")
	c.namespace(t, "mistyped", "Allways", "alice")
	c.namespace(t, "plain", "", "alice")
	alice := c.user(t, "alice")
	made, err := try(t.Context(), alice, "untrusted", podSpec(""))
	require.NoError(t, err, "nothing is bound yet")
	assert.Nil(t, made.Spec.RuntimeClassName)
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "policy", "bind-namespaces.yaml")))
	const says = "has to run with Kata: set runtimeClassName to kata-oc"
	awaitRefused(t, alice, "untrusted", podSpec(""), "every pod in namespace untrusted "+says)
	awaitRefused(t, alice, "mistyped", podSpec(""), says)
	awaitRefused(t, alice, "untrusted", podSpec("kata"), says)
	admitted(t, alice, "untrusted", podSpec("kata-oc"))
	admitted(t, alice, "plain", podSpec(""))
	workload(t, alice, "untrusted", "refused", podSpec(""))
	workload(t, alice, "untrusted", "runs", podSpec("kata-oc"))
	c.awaitRefusals(t, "untrusted", "refused", says)
	c.awaitPods(t, "untrusted", "runs", "kata-oc")

	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "policy", "bind-default-class.yaml")))
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		_, err := try(ctx, alice, "untrusted", podSpec(""))
		assert.NoError(t, err)
	})
	workload(t, alice, "untrusted", "default", podSpec(""))
	c.awaitPods(t, "untrusted", "default", "kata-oc")
	shares := podSpec("")
	shares.HostNetwork = true
	awaitRefused(t, alice, "untrusted", shares, says)
}

func TestNoPodOfANamespaceRunsWithKata(t *testing.T) {
	t.Parallel()
	c := tenants(t, "namespaces.yaml")
	c.worker(t, "w")
	c.namespace(t, "monitoring", "never", "alice")
	c.namespace(t, "plain", "", "alice")
	alice := c.user(t, "alice")
	admitted(t, alice, "monitoring", podSpec("kata-oc")) // Nothing is bound yet.
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "policy", "bind-namespaces.yaml")))
	const says = "pods in namespace monitoring may not run with Kata: take runtimeClassName kata"
	awaitRefused(t, alice, "monitoring", podSpec("kata-oc"), says+"-oc out of the pod")
	awaitRefused(t, alice, "monitoring", podSpec("kata"), says+" out of the pod")
	admitted(t, alice, "plain", podSpec("kata"))
	workload(t, alice, "monitoring", "refused", podSpec("kata-oc"))
	workload(t, alice, "monitoring", "ordinary", podSpec(""))
	c.awaitPods(t, "monitoring", "ordinary", "")
	c.awaitRefusals(t, "monitoring", "refused", says)
}

func TestPodsGetTheDefaultClassOfTheirNamespace(t *testing.T) {
	t.Parallel()
	c := tenants(t, "default-class.yaml", "bind-default-class.yaml")
	c.namespace(t, "d", "default", "alice")
	c.namespace(t, "plain", "", "alice")
	alice := c.user(t, "alice")
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		made, err := try(ctx, alice, "d", podSpec(""))
		if assert.NoError(t, err) && assert.NotNil(t, made.Spec.RuntimeClassName) {
			assert.Equal(t, "kata-oc", *made.Spec.RuntimeClassName)
			assert.Equal(t, "350Mi", made.Spec.Overhead.Memory().String())
			assert.Contains(t, made.Spec.NodeSelector, node.ReadyLabel)
			assert.Contains(t, made.Spec.Tolerations, corev1.Toleration{Key: "sandboxes", Operator: "Exists"})
		}
	})
	for _, untouched := range []struct {
		namespace string
		spec      corev1.PodSpec
	}{{"plain", podSpec("")}, {"d", func() corev1.PodSpec { s := podSpec(""); s.HostNetwork = true; return s }()}} {
		made, err := try(t.Context(), alice, untouched.namespace, untouched.spec)
		require.NoError(t, err)
		assert.Nil(t, made.Spec.RuntimeClassName)
	}
	made, err := try(t.Context(), alice, "d", podSpec("kata"))
	require.NoError(t, err)
	assert.Equal(t, "kata", *made.Spec.RuntimeClassName, "a pod that names one keeps it")
}
