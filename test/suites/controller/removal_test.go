// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"strings"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// absent answers an Absent of a node that never carried the ready label.
func (w *worker) absent(t *testing.T) {
	t.Helper()
	w.awaitIntent(t, node.StateAbsent, "")
	w.reports(t, node.PhaseAbsent)
	w.awaitIntent(t, "", "")
	w.reports(t, node.PhaseIdle)
}

func TestADeletionDuringAnInstallationUndoesIt(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	for _, phase := range []node.Phase{"", node.PhaseInstalling, node.PhaseAwaitingGrant} {
		// The first node works and the second one waits for its turn.
		c.kataConfig(t, "kata", "{}")
		works, waits := c.worker(t, "a"+strings.ToLower(string(phase))), c.worker(t, "b"+strings.ToLower(string(phase)))
		works.reports(t, node.PhaseIdle)
		works.awaitIntent(t, node.StateInstalled, payloadA)
		waits.reports(t, node.PhaseIdle)
		if phase != "" {
			works.reports(t, phase)
		}
		if phase == node.PhaseAwaitingGrant {
			works.awaitGrant(t)
		}
		c.delete(t, "kata")
		works.absent(t)
		c.awaitGone(t, "kata")
		c.awaitRuntimeClass(t, "")
		works.awaitLabel(t, false)
		assert.Zero(t, seen.nodeWrites(waits.name), "in phase %q", phase)
		works.remove(t)
		waits.remove(t)
	}
}

func TestADeletionContinuesWhilePaused(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "w")
	c.kataConfig(t, "kata", "{config: {paused: true, payloadImage: '"+payloadB+"'}}")
	c.awaitCounts(t, "kata", "0/0/1/0 of 1 Paused")
	c.delete(t, "kata")
	workers["w"].removes(t)
	c.awaitGone(t, "kata")
	c.awaitRuntimeClass(t, "")
}

func TestADeletionWaitsForKataPodsNamesThemAndStartsNoMore(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "busy", "idle")
	workers["busy"].reports(t, node.PhaseInstalled, pods("shop/cart", "shop/till"))
	c.delete(t, "kata")
	workers["idle"].removes(t)
	workers["busy"].awaitIntent(t, node.StateAbsent, "")
	workers["busy"].reports(t, node.PhaseBlocked, pods("shop/cart", "shop/till"))
	kc := c.awaitCounts(t, "kata", "0/0/1/0 of 1 Removing")
	require.Len(t, kc.Status.Waiting, 1)
	assert.Equal(t, "KataPodsRunning", kc.Status.Waiting[0].Reason)
	assert.Contains(t, kc.Status.Waiting[0].Message, "busy (shop/cart, shop/till)")
	workers["busy"].awaitLabel(t, true)

	// The class is there for the pods that run, and draws no new one to any node.
	c.awaitRuntimeClass(t, runtimeclass.WithdrawnLabel)
	name := node.RuntimeClass
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "late", Namespace: metav1.NamespaceDefault}, Spec: corev1.PodSpec{
		RuntimeClassName: &name, Containers: []corev1.Container{{Name: "c", Image: "registry.kata.test/none"}},
	}}
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		made, err := c.kube.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if assert.NoError(t, err) {
			assert.Contains(t, made.Spec.NodeSelector, runtimeclass.WithdrawnLabel)
		}
	})

	workers["busy"].removes(t)
	c.awaitGone(t, "kata")
	c.awaitRuntimeClass(t, "")
}

func TestADeletionEndsWhenNodesAndRuntimeClassAreDeletedAlready(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "w")
	workers["w"].ready(t, false)
	c.delete(t, "kata")
	workers["w"].awaitIntent(t, node.StateAbsent, "")
	require.NoError(t, c.kube.NodeV1().RuntimeClasses().Delete(t.Context(), node.RuntimeClass, metav1.DeleteOptions{}))
	workers["w"].remove(t)
	c.awaitGone(t, "kata")
	c.awaitRuntimeClass(t, "")
}

// Whoever deletes the definition deletes every KataConfig with it; it stays until they are
// released.
func TestDeletingTheDefinitionRemovesKataFromTheNodesFirst(t *testing.T) {
	t.Parallel()
	c, _, workers := installed(t, "w")
	const name = "kataconfigs.kataconfiguration.openshift.io"
	definitions := c.dynamic.Resource(crdResource())
	require.NoError(t, definitions.Delete(t.Context(), name, metav1.DeleteOptions{}))
	workers["w"].removes(t)
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		_, err := definitions.Get(ctx, name, metav1.GetOptions{})
		assert.ErrorContains(t, err, "not found")
	})
	c.awaitRuntimeClass(t, "")
}
