// SPDX-License-Identifier: Apache-2.0

package admit_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/admit"
)

const readyLabel = "node-restriction.kubernetes.io/kata-oc"

func node(labels map[string]string, taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: labels}, Spec: corev1.NodeSpec{Taints: taints}}
}

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{NodeName: "n1"}}
	for _, c := range change {
		c(p)
	}
	return p
}

func selecting(labels map[string]string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = labels }
}

func running(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }

func requiring(key string) func(*corev1.Pod) {
	term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpExists}}}
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}},
		}}
	}
}

func TestPodsThatFitTheirNodeAreAdmitted(t *testing.T) {
	t.Parallel()
	ready := map[string]string{readyLabel: "true"}
	noSchedule := corev1.Taint{Key: "busy", Effect: corev1.TaintEffectNoSchedule}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		node *corev1.Node
	}{
		"without a selector":                 {pod(), node(nil)},
		"with a selector that matches":       {pod(selecting(ready)), node(ready)},
		"with an affinity that matches":      {pod(requiring(readyLabel)), node(ready)},
		"beside a taint that only schedules": {pod(), node(nil, noSchedule)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Nil(t, admit.Check(c.pod, c.node))
		})
	}
}

func TestPodsThatDoNotFitAreRejectedInTheKubeletsWords(t *testing.T) {
	t.Parallel()
	ready := map[string]string{readyLabel: "true"}
	evicting := corev1.Taint{Key: "gone", Effect: corev1.TaintEffectNoExecute}
	const affinity = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		node *corev1.Node
		want admit.Rejection
	}{
		"label gone":                 {pod(selecting(ready)), node(nil), admit.Rejection{Reason: "NodeAffinity", Message: affinity, LabelsOnly: true}},
		"label gone under a running": {pod(selecting(ready), running), node(nil), admit.Rejection{Reason: "NodeAffinity", Message: affinity, LabelsOnly: true}},
		"label of another value":     {pod(selecting(ready)), node(map[string]string{readyLabel: "false"}), admit.Rejection{Reason: "NodeAffinity", Message: affinity, LabelsOnly: true}},
		"affinity unmet":             {pod(requiring(readyLabel)), node(nil), admit.Rejection{Reason: "NodeAffinity", Message: affinity, LabelsOnly: true}},
		"label gone and tainted":     {pod(selecting(ready)), node(nil, evicting), admit.Rejection{Reason: "NodeAffinity", Message: affinity}},
		"tainted": {pod(), node(nil, evicting), admit.Rejection{
			Reason: "TaintToleration", Message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
		}},
		"another node": {pod(func(p *corev1.Pod) { p.Spec.NodeName = "n2" }), node(nil), admit.Rejection{
			Reason: "NodeName", Message: "Predicate NodeName failed: node(s) didn't match the requested node name",
		}},
		"another system": {pod(func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }), node(nil), admit.Rejection{
			Reason: "PodOSNotSupported", Message: "Failed to admit pod as the OS field doesn't match node OS",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := admit.Check(c.pod, c.node)
			require.NotNil(t, got)
			assert.Equal(t, c.want, *got)
		})
	}
}
