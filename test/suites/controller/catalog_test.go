// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clusterVersionCRD is as much of OpenShift's definition as the controller reads.
const clusterVersionCRD = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clusterversions.config.openshift.io, annotations: {api-approved.kubernetes.io: "unapproved, a test's"}}
spec:
  group: config.openshift.io
  scope: Cluster
  names: {kind: ClusterVersion, listKind: ClusterVersionList, plural: clusterversions, singular: clusterversion}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// desires sets the version that the cluster is on its way to.
func (c *cluster) desires(t *testing.T, version string) {
	t.Helper()
	eventually(t, func(collect *assert.CollectT, ctx context.Context) {
		assert.NoError(collect, c.ApplyYAML(ctx, fmt.Appendf(nil, "apiVersion: config.openshift.io/v1\nkind: ClusterVersion\nmetadata: {name: version}\nstatus: {desired: {version: %s}}\n", version)))
	})
}

// publishes writes the catalogue: entries in YAML flow style, or any other text.
func (c *cluster) publishes(t *testing.T, lines ...string) {
	t.Helper()
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kata-payloads, namespace: " + namespace + "}\ndata:\n  catalog.yaml: |\n    format: 1\n    payloads:\n"
	for _, line := range lines {
		text += "      - {" + line + "}\n"
	}
	require.NoError(t, c.apply(t, text))
}

// runs says an OpenShift's versions as a kubelet does after a boot into it.
func (w *worker) runs(t *testing.T, minor int) {
	t.Helper()
	require.NoError(t, w.patchStatus(t.Context(), map[string]any{"status": map[string]any{"nodeInfo": map[string]any{
		"kubeletVersion":          fmt.Sprintf("v1.%d.5", minor+13),
		"containerRuntimeVersion": fmt.Sprintf("cri-o://1.%d.12-3.rhaos4.%d.git64c6a00.el9", minor+13, minor),
		"osImage":                 "Red Hat Enterprise Linux CoreOS 9.6.20260623-0 (Plow)",
		"architecture":            "amd64",
		"kernelVersion":           "5.14.0-570.124.1.el9_6.x86_64",
	}}}))
}

// awaitPrefetch waits until the intent names an image to fetch ahead of time, or none.
func (w *worker) awaitPrefetch(t *testing.T, image string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		n, err := w.object(ctx)
		require.NoError(t, err)
		intent, err := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
		if assert.NoError(t, err) {
			assert.Equal(t, image, intent.Prefetch)
		}
	})
}

// A cluster that is not OpenShift has no version of its own: kubelets' decide, and nothing is
// missed.
func TestNodesOfDifferentKubeletsGetDifferentPayloads(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.publishes(t, "image: '"+payloadA+"', kubernetes: '<1.33'", "image: '"+payloadB+"', kubernetes: '>=1.33'")
	s := settings() // The default payload is for a cluster without a catalogue.
	s.Catalog = controller.CatalogSource{Namespace: namespace, Name: "kata-payloads"}
	c.run(t, s)
	old, newer := c.worker(t, "old"), c.worker(t, "newer")
	kubelet := func(w *worker, version string) {
		require.NoError(t, w.patchStatus(t.Context(), map[string]any{"status": map[string]any{"nodeInfo": map[string]any{"kubeletVersion": version}}}))
		w.reports(t, node.PhaseIdle)
	}
	kubelet(old, "v1.32.9")
	kubelet(newer, "v1.33.0-rc.1+1a2b3c4")
	c.kataConfig(t, "kata", "{}")
	old.installs(t, payloadA)
	newer.installs(t, payloadB)
	kc := c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
	assert.Equal(t, []v1.PayloadStatus{{Image: payloadA, Nodes: 1}, {Image: payloadB, Nodes: 1}}, kc.Status.Payloads)

	require.NoError(t, c.kube.CoreV1().ConfigMaps(namespace).Delete(t.Context(), "kata-payloads", metav1.DeleteOptions{}))
	newer.awaitIntent(t, node.StateInstalled, payloadA)
	newer.reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "2/0/0/0 of 2 Completed")
}

func TestNodesGetThePayloadForWhatTheyRun(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.NoError(t, c.apply(t, clusterVersionCRD))
	c.desires(t, "4.19.3")
	before, after := "image: '"+payloadA+"', openshift: '<4.20'", "image: '"+payloadB+"', openshift: '>=4.20, <4.22'"
	c.publishes(t, before, after)
	s := settings()
	s.DefaultPayload, s.Catalog = "", controller.CatalogSource{Namespace: namespace, Name: "kata-payloads"}
	c.run(t, s)
	one, two := c.worker(t, "one"), c.worker(t, "two")
	one.runs(t, 19)
	two.runs(t, 20)
	const name = "kata"
	c.kataConfig(t, name, "{}")
	one.reports(t, node.PhaseIdle)
	two.reports(t, node.PhaseIdle)
	one.installs(t, payloadA)
	two.installs(t, payloadB)
	kc := c.awaitCounts(t, name, "2/0/0/0 of 2 Completed")
	assert.Equal(t, []v1.PayloadStatus{{Image: payloadA, Nodes: 1}, {Image: payloadB, Nodes: 1}}, kc.Status.Payloads)
	assert.Equal(t, payloadB, kc.Status.KataImage)

	c.desires(t, "4.20.0")
	one.awaitPrefetch(t, payloadB)
	assert.Equal(t, payloadA, one.intent(t).Payload, "the cluster's version decides nothing")
	c.awaitCounts(t, name, "2/0/0/0 of 2 Completed")
	one.reports(t, node.PhaseInstalled, func(r *node.Report) { r.Prefetched = node.Digest(payloadB) })

	untouched := two.intent(t)
	one.runs(t, 20)
	one.awaitIntent(t, node.StateInstalled, payloadB)
	one.awaitPrefetch(t, "")
	one.reports(t, node.PhaseInstalled)
	kc = c.awaitCounts(t, name, "2/0/0/0 of 2 Completed")
	assert.Equal(t, []v1.PayloadStatus{{Image: payloadB, Nodes: 2}}, kc.Status.Payloads)
	assert.Equal(t, untouched, two.intent(t), "an upgrade of one node moves it alone")

	c.publishes(t, before, "image: '"+payloadB+"', openshift: '>=4.21'")
	kc = c.awaitCounts(t, name, "2/0/0/0 of 2 CatalogUnreadable")
	assert.Contains(t, kc.Status.Conditions[0].Message, "the last good one stays in force: checking catalogue: no entry is for OpenShift from 4.20 to below 4.21")
	c.publishes(t, before, after)
	c.awaitCounts(t, name, "2/0/0/0 of 2 Completed")

	two.runs(t, 22)
	kc = c.awaitCounts(t, name, "1/0/0/1 of 2 NoPayloadForVersion")
	assert.Equal(t, "two", kc.Status.FailedNodes[0].Name)
	assert.Contains(t, kc.Status.FailedNodes[0].Error, "no entry of the catalogue is for OpenShift 4.22 on amd64, RHEL 9: it has <4.20; >=4.20, <4.22")
	assert.Equal(t, untouched, two.intent(t), "it keeps what it serves")
	two.awaitLabel(t, true)
}
