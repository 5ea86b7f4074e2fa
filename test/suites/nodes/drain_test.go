// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	katav1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

// Three nodes have to be rebooted, and one may be unavailable. A person has cordoned the third, and
// a disruption budget guards a pod on the first.
func TestNodesRebootOneAfterTheOther(t *testing.T) {
	t.Parallel()
	a, b, c := newSubject(t, "reboots-a"), newSubject(t, "reboots-b"), newSubject(t, "reboots-c")
	require.NoError(t, a.cluster.ApplyYAML(t.Context(), fmt.Appendf(nil, `{apiVersion: kataconfiguration.openshift.io/v1, kind: KataConfig, metadata: {name: %s},
		spec: {kataConfigPoolSelector: {matchExpressions: [{key: %s, operator: In, values: [%s, %s, %s]}]}, config: {maxUnavailable: 1}}}`,
		a.name, subjectLabel, a.name, b.name, c.name)))
	boots := map[string]string{}
	for _, s := range []*subject{a, b, c} {
		boots[s.name] = s.awaitReport("is installed", in(node.PhaseInstalled)).BootID
	}
	a.guards(t)
	c.patch(`{"spec":{"unschedulable":true}}`)
	away := watchAvailability(t, a, b, c)
	for _, s := range []*subject{a, b, c} {
		s.run("sh", "-c", "echo 'a new kernel' > /run/kata-agent/reboot-required")
		s.patch(`{"metadata":{"annotations":{"example.com/look":"now"}}}`)
	}

	// The one that is unavailable already costs nothing, and its cordon is not the agent's to end.
	c.awaitBoot(boots[c.name])
	for _, s := range []*subject{a, b} {
		s.awaitReport("asks for a reboot", func(r node.Report) bool { return r.RebootRequired })
	}
	assert.True(t, c.cordoned(t.Context()))

	c.patch(`{"spec":{"unschedulable":null}}`)
	stuck := a.awaitReport("names what cannot be evicted", func(r node.Report) bool { return r.Error != nil })
	assert.Equal(t, node.ReasonDrainNodeFailed, stuck.Error.Reason)
	assert.Contains(t, stuck.Error.Message, "evicting pod default/"+a.pod("guarded")+": Cannot evict pod as it would violate the pod's disruption budget")
	assert.True(t, a.cordoned(t.Context()))
	assert.Equal(t, node.PhaseInstalled, stuck.Phase, "it serves meanwhile")

	require.NoError(t, a.cluster.Kube.PolicyV1().PodDisruptionBudgets(metav1.NamespaceDefault).Delete(t.Context(), a.pod("budget"), metav1.DeleteOptions{}))
	for _, s := range []*subject{a, b} {
		s.awaitBoot(boots[s.name])
		s.await("it takes pods again", func(ctx context.Context) error {
			if s.cordoned(ctx) {
				return errors.New("it is cordoned")
			}
			return nil
		})
	}
	a.awaitConfig("is completed", func(c katav1.KataConfig) error {
		if !fixture.Completed(3)(c) {
			return fmt.Errorf("status is %+v", c.Status)
		}
		return nil
	})
	assert.Equal(t, 1, away.most(), "%v", away.seen)
}

// guards runs a pod that a disruption budget keeps from being evicted.
func (s *subject) guards(t *testing.T) {
	t.Helper()
	labels := map[string]string{"guarded": s.name}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: s.pod("guarded"), Namespace: metav1.NamespaceDefault, Labels: labels}, Spec: bed.PodSpec("")}
	pod.Spec.NodeName = s.name
	_, err := s.cluster.Kube.CoreV1().Pods(metav1.NamespaceDefault).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: s.pod("budget"), Namespace: metav1.NamespaceDefault}}
	budget.Spec.Selector, budget.Spec.MinAvailable = &metav1.LabelSelector{MatchLabels: labels}, new(intstr.FromInt32(1))
	_, err = s.cluster.Kube.PolicyV1().PodDisruptionBudgets(metav1.NamespaceDefault).Create(t.Context(), budget, metav1.CreateOptions{})
	require.NoError(t, err)
	s.awaitPod("guarded")
}

func (s *subject) patch(patch string) {
	s.t.Helper()
	_, err := s.cluster.Kube.CoreV1().Nodes().Patch(s.t.Context(), s.name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(s.t, err)
}

func (s *subject) cordoned(ctx context.Context) bool {
	s.t.Helper()
	n, err := s.node.Object(ctx)
	require.NoError(s.t, err)
	return n.Spec.Unschedulable
}

// awaitBoot waits until the agent reports that it serves in another boot, and needs no reboot.
func (s *subject) awaitBoot(than string) {
	s.t.Helper()
	s.awaitReport("serves in another boot", func(r node.Report) bool {
		return in(node.PhaseInstalled)(r) && r.BootID != than && !r.RebootRequired
	})
}

// availability is what a watch has seen of nodes that take no pods.
type availability struct {
	mu   sync.Mutex
	away map[string]bool
	seen []string
	max  int
}

func (a *availability) most() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.max
}

func watchAvailability(t *testing.T, subjects ...*subject) *availability {
	t.Helper()
	a, names := &availability{away: map[string]bool{}}, []string{}
	for _, s := range subjects {
		names = append(names, s.name)
	}
	watcher, err := subjects[0].cluster.Kube.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{LabelSelector: subjectLabel + " in (" + strings.Join(names, ",") + ")"})
	require.NoError(t, err)
	t.Cleanup(watcher.Stop)
	go func() {
		for event := range watcher.ResultChan() {
			if n, ok := event.Object.(*corev1.Node); ok {
				a.see(n)
			}
		}
	}()
	return a
}

// down is what a kubelet says of itself. A heartbeat that a busy machine delays is Unknown.
func down(c corev1.NodeCondition) bool {
	return c.Type == corev1.NodeReady && c.Status == corev1.ConditionFalse
}

func (a *availability) see(n *corev1.Node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.away, n.Name)
	if n.Spec.Unschedulable || slices.ContainsFunc(n.Status.Conditions, down) {
		a.away[n.Name] = true
	}
	if len(a.away) > a.max {
		a.max = len(a.away)
		a.seen = append(a.seen, fmt.Sprint(a.away))
	}
}
