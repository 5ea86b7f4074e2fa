// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The unfit node is the first one by name.
func TestANodeThatFailsItsHostCheckIsNeverFirstAndNeverReady(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.run(t, settings())
	unfit, sound := c.worker(t, "a", "pool=x"), c.worker(t, "b", "pool=x")
	const noKVM = "the host has no /dev/kvm: load kvm_intel or kvm_amd, or turn on virtualization in the firmware"
	lacksKVM := func(r *node.Report) { r.HostCheck = noKVM }
	unfit.reports(t, node.PhaseIdle, lacksKVM)

	const name = "kata"
	c.kataConfig(t, name, "{kataConfigPoolSelector: {matchLabels: {pool: x}}, config: {payloadImage: '"+payloadA+"'}}")
	kc := c.awaitCounts(t, name, "0/0/1/1 of 2 NodesFailed")
	assert.Equal(t, []v1.FailedNode{{Name: "a", Error: noKVM + " (HostUnfit)"}}, kc.Status.FailedNodes)
	sound.reports(t, node.PhaseIdle)
	sound.awaitIntent(t, node.StateInstalled, payloadA)
	assert.Nil(t, unfit.intent(t), "it would prove nothing")
	c.awaitUnschedulable(t)
	sound.installs(t, payloadA)

	unfit.awaitIntent(t, node.StateInstalled, payloadA)
	unfit.reports(t, node.PhaseInstalling, lacksKVM)
	kc = c.awaitCounts(t, name, "1/0/0/1 of 2 NodesFailed")
	assert.Equal(t, []v1.FailedNode{{Name: "a", Error: noKVM + " (HostUnfit)"}}, kc.Status.FailedNodes)
	unfit.awaitLabel(t, false)

	// With virtualization turned on, it is one as others are.
	unfit.installs(t, payloadA)
	c.awaitCounts(t, name, "2/0/0/0 of 2 Completed")
	unfit.reports(t, node.PhaseInstalled, lacksKVM)
	c.awaitCounts(t, name, "1/0/0/1 of 2 NodesFailed")
}

// awaitUnschedulable makes a pod while no node is ready, and waits for what the scheduler says of
// it.
func (c *cluster) awaitUnschedulable(t *testing.T) {
	t.Helper()
	pods := c.kube.CoreV1().Pods(metav1.NamespaceDefault)
	made, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "waits"}, Spec: podSpec(node.RuntimeClass)}, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		pod, err := pods.Get(ctx, made.Name, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, corev1.PodPending, pod.Status.Phase)
		assert.Empty(t, pod.Spec.NodeName)
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled {
				assert.Equal(t, corev1.PodReasonUnschedulable, condition.Reason)
				assert.Contains(t, condition.Message, "didn't match Pod's node affinity/selector")
				return
			}
		}
		assert.Fail(t, "the scheduler has said nothing")
	})
}
