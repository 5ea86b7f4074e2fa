// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestKubectlAppliesDeployInOneGo(t *testing.T) {
	t.Parallel()
	c := control(t)
	kubectl := func(args ...string) string { return c.kubectl(t, "", args...) }
	first := kubectl("apply", "-k", c.workspace.Path("deploy"))
	assert.NotContains(t, first, "Warning", "nothing deprecated, and the pod security of the namespace is kept")
	for line := range strings.Lines(kubectl("apply", "-k", c.workspace.Path("deploy"))) {
		assert.Contains(t, line, "unchanged")
	}
	policies := kubectl("apply", "-k", c.workspace.Path("deploy", "policy"))
	for _, file := range []string{"bind-users.yaml", "bind-namespaces.yaml", "default-class.yaml", "bind-default-class.yaml"} {
		policies += kubectl("apply", "-f", c.workspace.Path("deploy", "policy", file))
	}
	assert.NotContains(t, policies, "Warning")
	kubectl("apply", "-f", c.workspace.Path("deploy", "samples"))
	assert.Contains(t, kubectl("get", "kc"), "install-kata-1.0")

	deployment, err := c.kube.AppsV1().Deployments(namespace).Get(t.Context(), "kata-controller", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Regexp(t, `^.+@sha256:[0-9a-f]{64}$`, deployment.Spec.Template.Spec.Containers[0].Image)
	podSecurity(t, c, deployment)
}

// podSecurity makes the Deployment's pod: the namespace enforces the restricted standard.
func podSecurity(t *testing.T, c *cluster, deployment *appsv1.Deployment) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: namespace}, Spec: deployment.Spec.Template.Spec}
	_, err := c.kube.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)
	pod.Spec.Containers[0].SecurityContext = nil
	_, err = c.kube.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.ErrorContains(t, err, "PodSecurity", "the standard is enforced")
}

func TestTheControllerRefusesADefinitionThatIsNotOurs(t *testing.T) {
	t.Parallel()
	c := control(t)
	begin := func() error {
		config, err := c.Admin()
		require.NoError(t, err)
		metrics, err := controller.NewMetrics(prometheus.NewRegistry())
		require.NoError(t, err)
		log := logrus.New()
		log.SetOutput(t.Output())
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return controller.Run(ctx, config, settings(), metrics, log)
	}
	require.ErrorContains(t, begin(), "does not exist: apply deploy/ first")
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "10-crd.yaml")))
	crds := c.dynamic.Resource(crdResource())
	_, err := crds.Patch(t.Context(), "kataconfigs.kataconfiguration.openshift.io", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"kataconfiguration.openshift.io/implementation":null}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	assert.ErrorContains(t, begin(), "belongs to another product")
}

// TestRolesGrantExactlyWhatTheControllerCalls tells the whole story once, and compares what the
// controller asked for with what deploy/ grants.
func TestRolesGrantExactlyWhatTheControllerCalls(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.NoError(t, c.apply(t, clusterVersionCRD)) // As on OpenShift.
	c.desires(t, "4.20.0")
	s := settings()
	s.Catalog = controller.CatalogSource{Namespace: namespace, Name: "kata-payloads"}
	seen, workers := c.installed(t, s, "w")
	w := workers["w"]
	for range 2 { // The same event twice is one event with a count.
		require.NoError(t, attempt{"w", "", `{"metadata":{"annotations":{"kataconfiguration.openshift.io/intent":null}}}`}.by(t.Context(), c.kube))
		w.awaitIntent(t, node.StateInstalled, payloadA)
	}
	c.delete(t, "kata")
	w.removes(t)
	c.awaitGone(t, "kata")
	c.awaitRuntimeClass(t, "")

	granted := c.granted(t)
	eventually(t, func(t *assert.CollectT, _ context.Context) {
		used := seen.rights()
		for right := range used {
			assert.Contains(t, granted, right)
		}
		for right := range granted {
			// API servers below 1.34 do not stream lists: there the informers list before they
			// watch.
			if watched, lists := strings.CutPrefix(right, "list "); lists {
				right = "watch " + watched
			}
			assert.Contains(t, used, right)
		}
	})
}

// granted is every right that a binding gives to the controller's account, by any name.
func (c *cluster) granted(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	add := func(rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			assert.Empty(t, rule.NonResourceURLs)
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						for _, part := range []string{group, resource, verb} {
							assert.NotContains(t, part, "*")
						}
						out[verb+" "+group+"/"+resource] = true
					}
				}
			}
		}
	}
	bound := func(subjects []rbacv1.Subject) bool {
		return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == namespace && s.Name == account ||
				s.Kind == rbacv1.GroupKind && s.Name == "system:serviceaccounts:"+namespace
		})
	}
	everywhere, err := c.kube.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, b := range everywhere.Items {
		if bound(b.Subjects) {
			role, err := c.kube.RbacV1().ClusterRoles().Get(t.Context(), b.RoleRef.Name, metav1.GetOptions{})
			require.NoError(t, err)
			add(role.Rules)
		}
	}
	somewhere, err := c.kube.RbacV1().RoleBindings(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, b := range somewhere.Items {
		if bound(b.Subjects) {
			require.Equal(t, "Role", b.RoleRef.Kind, "roles of deploy/ are for one namespace")
			role, err := c.kube.RbacV1().Roles(b.Namespace).Get(t.Context(), b.RoleRef.Name, metav1.GetOptions{})
			require.NoError(t, err)
			add(role.Rules)
		}
	}
	require.NotEmpty(t, out)
	return out
}

func TestNothingIsWrittenAtRest(t *testing.T) {
	t.Parallel()
	c, seen, workers := installed(t, "a", "b", "c")
	c.awaitCounts(t, "kata", "3/0/0/0 of 3 Completed")
	quiet := func() int { return len(seen.writes()) + seen.passes(t) }
	steady(t, quiet)
	before, writes, passes := quiet(), len(seen.writes()), seen.passes(t)
	for i := range 10 {
		for _, w := range workers { // A kubelet's heartbeat does not even wake the controller.
			require.NoError(t, w.patchStatus(t.Context(), map[string]any{"status": map[string]any{"conditions": []any{
				map[string]any{"type": "Ready", "status": "True", "lastHeartbeatTime": time.Now().Add(time.Duration(i) * time.Second).UTC().Format(time.RFC3339)},
			}}}))
		}
	}
	steady(t, quiet)
	assert.Equal(t, before, quiet(), "%v", seen.writes()[writes:])

	workers["a"].serves(t, "runc", node.Handler) // News, but nothing to be done about it.
	eventually(t, func(a *assert.CollectT, _ context.Context) { assert.Greater(a, seen.passes(t), passes) })
	steady(t, quiet)
	assert.Len(t, seen.writes(), writes)
}

func TestANewLeaderWritesNothingEither(t *testing.T) {
	t.Parallel()
	c := start(t)
	_, stop := c.run(t, settings())
	c.kataConfig(t, "kata", "{}")
	w := c.worker(t, "w")
	w.reports(t, node.PhaseIdle)
	w.installs(t, payloadA)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	stop()

	seen, _ := c.run(t, settings())
	eventually(t, func(t *assert.CollectT, _ context.Context) { assert.NotEmpty(t, seen.all()) })
	w.reports(t, node.PhaseInstalled, fails("noticed by the new leader"))
	c.awaitCounts(t, "kata", "0/0/0/1 of 1 NodesFailed")
	for _, write := range seen.writes() {
		assert.NotContains(t, write, "/nodes")
		assert.NotContains(t, write, "/runtimeclasses")
	}
}

func TestOneOfTwoInstancesWorksAndTheOtherTakesOver(t *testing.T) {
	t.Parallel()
	c := start(t)
	first, stop := c.run(t, settings())
	eventually(t, func(t *assert.CollectT, _ context.Context) { assert.Contains(t, first.rights(), "watch /nodes") })
	second, _ := c.run(t, settings())
	c.kataConfig(t, "kata", "{}")
	a := c.worker(t, "a")
	a.reports(t, node.PhaseIdle)
	a.installs(t, payloadA)
	assert.Empty(t, second.writes())
	stop()

	b := c.worker(t, "b")
	b.reports(t, node.PhaseIdle)
	b.installs(t, payloadA)
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
	assert.Zero(t, first.nodeWrites("b"))
	assert.Zero(t, second.nodeWrites("a"))
}

// steady waits until a figure has been the same for a second.
func steady(t *testing.T, figure func() int) {
	t.Helper()
	last, since := figure(), time.Now()
	require.Eventually(t, func() bool {
		if now := figure(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > time.Second
	}, patience, 50*time.Millisecond)
}

func TestEveryTransitionIsAnEventOnce(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "w")
	w := workers["w"]
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	c.kataConfig(t, "kata", "{config: {payloadImage: '"+payloadB+"'}}")
	w.awaitIntent(t, node.StateInstalled, payloadB)
	w.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	w.reports(t, node.PhaseInstalled, fails("the disk is full"))
	c.awaitCounts(t, "kata", "0/0/0/1 of 1 NodesFailed")
	w.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	c.delete(t, "kata")
	w.removes(t)
	c.awaitGone(t, "kata")
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		events, err := c.kube.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		count := map[string]int{}
		for _, e := range events.Items {
			count[e.InvolvedObject.Kind+" "+e.Reason] += int(e.Count)
		}
		for want, times := range map[string]int{
			"Node KataInstall": 1, "Node KataRestartGranted": 1, "Node KataReady": 1, "Node KataUpdate": 1, "Node KataFailed": 1, "Node KataRecovered": 1,
			"Node KataRemove": 1, "Node KataWithdrawn": 1, "Node KataRemoved": 1,
			"KataConfig Completed": 3, "KataConfig NodesFailed": 1,
		} {
			assert.Equal(t, times, count[want], "%s in %v", want, count)
		}
		assert.Contains(t, count, "KataConfig Removing")
	})
}
