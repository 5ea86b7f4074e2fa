// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/runtimeclass"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInstallUpdateAndRemovalOnTwoNodes(t *testing.T) {
	t.Parallel()
	c := start(t)
	seen, _ := c.run(t, settings())
	one, two, other := c.worker(t, "one", "install-kata=kata-1.0"), c.worker(t, "two", "install-kata=kata-1.0"), c.worker(t, "other")
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy", "samples", "kataconfig.yaml")))
	const name = "install-kata-1.0"

	kc := c.awaitCounts(t, name, "0/0/2/0 of 2 Waiting")
	assert.Equal(t, "AgentMissing", kc.Status.Waiting[0].Reason)
	c.awaitRuntimeClass(t, node.ReadyLabel)

	for _, w := range []*worker{one, two, other} {
		w.reports(t, node.PhaseIdle)
	}
	one.installs(t, payloadA)
	two.installs(t, payloadA)
	kc = c.awaitCounts(t, name, "2/0/0/0 of 2 Completed")
	assert.Equal(t, "kata-oc", kc.Status.RuntimeClassName)
	assert.Equal(t, payloadA, kc.Status.KataImage)
	assert.Equal(t, []v1.PayloadStatus{{Image: payloadA, Nodes: 2}}, kc.Status.Payloads)

	c.kataConfig(t, name, "{kataConfigPoolSelector: {matchLabels: {install-kata: kata-1.0}}, config: {payloadImage: '"+payloadB+"'}}")
	one.awaitIntent(t, node.StateInstalled, payloadB)
	assert.Equal(t, payloadA, two.intent(t).Payload, "the first node goes alone")
	one.reports(t, node.PhaseInstalled)
	two.awaitIntent(t, node.StateInstalled, payloadB)
	two.reports(t, node.PhaseInstalled)
	kc = c.awaitCounts(t, name, "2/0/0/0 of 2 Completed")
	assert.Equal(t, payloadB, kc.Status.KataImage)
	one.awaitLabel(t, true)

	one.reports(t, node.PhaseInstalled, pods("shop/cart"))
	c.delete(t, name)
	one.awaitIntent(t, node.StateAbsent, "")
	c.awaitRuntimeClass(t, runtimeclass.WithdrawnLabel)
	one.reports(t, node.PhaseBlocked, pods("shop/cart"))
	two.removes(t)
	kc = c.awaitCounts(t, name, "0/0/1/0 of 1 Removing")
	assert.Contains(t, kc.Status.Waiting[0].Message, "shop/cart")
	one.awaitLabel(t, true)
	one.removes(t)
	c.awaitGone(t, name)
	c.awaitRuntimeClass(t, "")

	assert.Nil(t, other.intent(t))
	assert.Zero(t, seen.nodeWrites("other"))
	for _, w := range []string{"one", "two"} {
		assert.LessOrEqual(t, seen.nodeWrites(w), 4+4, "at most four writes for a rollout")
	}
}
