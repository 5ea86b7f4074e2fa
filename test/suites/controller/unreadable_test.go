// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// looser takes away the rules of overhead.podFixed, as a definition from before them: what remains
// lets values pass that are no quantities.
const looser = `[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/config/properties/overhead/properties/podFixed/x-kubernetes-validations"}]`

// A list or a watch of the typed client fails as a whole for such an object: the controller would
// see no KataConfig any more, and after its next start none at all.
func TestAStoredKataConfigThatCannotBeDecodedStopsNoOther(t *testing.T) {
	t.Parallel()
	c := start(t)
	_, err := c.dynamic.Resource(crdResource()).Patch(t.Context(), "kataconfigs.kataconfiguration.openshift.io", types.JSONPatchType, []byte(looser), metav1.PatchOptions{})
	require.NoError(t, err)
	seen, stop := c.run(t, settings())
	pool := func(name, config string) string {
		return "{kataConfigPoolSelector: {matchLabels: {pool: " + name + "}}, config: {" + config + "}}"
	}
	c.kataConfig(t, "bad", pool("bad", ""))
	c.kataConfig(t, "good", pool("good", ""))
	kept, works := c.worker(t, "kept", "pool=bad"), c.worker(t, "works", "pool=good")
	for _, w := range []*worker{kept, works} {
		w.reports(t, node.PhaseIdle)
		w.installs(t, payloadA)
	}
	c.awaitCounts(t, "bad", "1/0/0/0 of 1 Completed")

	configs := c.dynamic.Resource(v1.GroupVersion().WithResource(v1.Resource))
	eventually(t, func(t *assert.CollectT, ctx context.Context) { // The definition is in force some time after its write.
		_, err := configs.Patch(ctx, "bad", types.MergePatchType, []byte(`{"spec":{"config":{"overhead":{"podFixed":{"cpu":"1e1.5"}}}}}`), metav1.PatchOptions{})
		assert.NoError(t, err)
	})
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		events, err := c.kube.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "reason=Unreadable,involvedObject.name=bad"})
		if assert.NoError(t, err) && assert.NotEmpty(t, events.Items) {
			assert.Contains(t, events.Items[0].Message, "spec.config.overhead.podFixed.cpu: quantities must match")
		}
	})
	before := seen.nodeWrites("kept")
	c.kataConfig(t, "good", pool("good", "payloadImage: '"+payloadB+"'"))
	works.awaitIntent(t, node.StateInstalled, payloadB)
	works.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "good", "1/0/0/0 of 1 Completed")

	// The next instance lists it before it has seen anything.
	stop()
	again, _ := c.run(t, settings())
	c.kataConfig(t, "good", pool("good", "payloadImage: '"+payloadA+"'"))
	works.awaitIntent(t, node.StateInstalled, payloadA)
	works.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "good", "1/0/0/0 of 1 Completed")
	assert.Equal(t, before, seen.nodeWrites("kept")+again.nodeWrites("kept"), "its nodes stay as they are")
	kept.awaitLabel(t, true)

	require.NoError(t, configs.Delete(t.Context(), "bad", metav1.DeleteOptions{}))
	kept.removes(t)
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		list, err := configs.List(ctx, metav1.ListOptions{})
		if assert.NoError(t, err) && assert.Len(t, list.Items, 1) {
			assert.Equal(t, "good", list.Items[0].GetName())
		}
	})
}
