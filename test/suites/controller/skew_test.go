// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// revisions are the directories with every former definition, the oldest first.
func (c *cluster) revisions(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(c.workspace.Path("api", "v1", "testdata", "revisions", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	return dirs
}

// objects reads what was stored under a former definition.
func objects(t *testing.T, dir string) (out []*unstructured.Unstructured) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "objects.yaml"))
	require.NoError(t, err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			require.NotEmpty(t, out)
			return out
		} else if err != nil {
			require.NoError(t, err)
		}
		out = append(out, object)
	}
}

// awaitStored stores an object until the API server keeps all of it, which it does when it knows
// the definition that was applied last.
func (c *cluster) awaitStored(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	client := c.dynamic.Resource(v1.GroupVersion().WithResource(v1.Resource))
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		stored, err := client.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "former", Force: true})
		require.NoError(t, err)
		assert.Equal(t, object.Object["spec"], stored.Object["spec"])
		if status, has := object.Object["status"]; has {
			stored.Object["status"] = status
			stored, err = client.UpdateStatus(ctx, stored, metav1.UpdateOptions{})
			if assert.NoError(t, err) {
				assert.Equal(t, status, stored.Object["status"])
			}
		}
	})
}

func TestWhatWasValidUnderFormerDefinitionsIsValidToday(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, dir := range c.revisions(t) {
		for _, object := range objects(t, dir) {
			c.awaitStored(t, object)
		}
	}
}

func TestTheDefinitionIsUpgradedOverStoredObjectsAndTheControllerWorksOnThem(t *testing.T) {
	t.Parallel()
	c := control(t)
	var stored []*unstructured.Unstructured
	for _, dir := range c.revisions(t) {
		require.NoError(t, c.Apply(t.Context(), filepath.Join(dir, "definition.yaml")))
		for _, object := range objects(t, dir) {
			c.awaitStored(t, object)
			stored = append(stored, object)
		}
	}
	require.NoError(t, c.Apply(t.Context(), c.workspace.Path("deploy")))
	c.awaitPolicies(t)
	c.run(t, settings())
	for _, object := range stored {
		kc := c.awaitCounts(t, object.GetName(), "0/0/0/0 of 0 NoMatchingNodes")
		assert.Empty(t, kc.Status.FailedNodes, "the status of another time is replaced")
		assert.Equal(t, []string{"kataconfiguration.openshift.io/kata-node"}, kc.Finalizers)
		c.delete(t, object.GetName())
	}
	for _, object := range stored {
		c.awaitGone(t, object.GetName())
	}
}

// phase is a step of a node whose agent is of another release. What it writes is text, not the
// form that this release knows.
const (
	formerReport = `{"version":1,"speaks":[1],"intentID":%q,"bootID":%q,"architecture":"amd64","phase":%q,"payload":%q,"payloadVersion":"3.20.0","boundPods":{"count":0}}`
	newerReport  = `{"version":1,"speaks":[1,2],"intentID":%q,"bootID":%q,"architecture":"amd64","phase":%q,"payload":%q,"boundPods":{"count":0,"oldest":"2027-01-01T00:00:00Z"},"guests":[{"kernel":"7.0"}],"weather":"fine"}`
)

func TestAgentsOfNeighbouringReleasesAreInstalledUpdatedAndCleaned(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.run(t, settings())
	c.kataConfig(t, "kata", "{}")
	for name, form := range map[string]string{"former": formerReport, "newer": newerReport} {
		w := c.worker(t, name)
		says := func(phase node.Phase, payload string) {
			id := ""
			if intent := w.intent(t); intent != nil && phase != node.PhaseIdle {
				id = intent.ID
			}
			w.writes(t, fmt.Sprintf(form, id, bootID, phase, payload))
		}
		says(node.PhaseIdle, "")
		w.awaitIntent(t, node.StateInstalled, payloadA)
		says(node.PhaseAwaitingGrant, "")
		w.awaitGrant(t)
		w.serves(t, "runc", node.Handler, node.ProofHandler)
		says(node.PhaseInstalled, node.Digest(payloadA))
		w.awaitLabel(t, true)
		c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
		c.kataConfig(t, "kata", "{config: {payloadImage: '"+payloadB+"'}}")
		w.awaitIntent(t, node.StateInstalled, payloadB)
		says(node.PhaseInstalled, node.Digest(payloadB))
		c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
		c.kataConfig(t, "kata", "{config: {payloadImage: '"+payloadA+"'}, kataConfigPoolSelector: {matchLabels: {none: 'yes'}}}")
		w.awaitIntent(t, node.StateAbsent, "")
		says(node.PhaseRemoving, node.Digest(payloadB))
		w.awaitLabel(t, false)
		says(node.PhaseAbsent, "")
		w.awaitIntent(t, "", "")
		says(node.PhaseIdle, "")
		w.remove(t)
		c.kataConfig(t, "kata", "{config: {payloadImage: '"+payloadA+"'}, kataConfigPoolSelector: {}}")
	}
}

func TestAnAgentTooFarAheadIsNamedAndKeepsWhatItServes(t *testing.T) {
	t.Parallel()
	c, seen, workers := installed(t, "w")
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
	before := seen.nodeWrites("w")
	workers["w"].reports(t, node.PhaseInstalled, func(r *node.Report) { r.Speaks = []int{2, 3} })
	kc := c.awaitCounts(t, "kata", "0/0/0/1 of 1 NodesFailed")
	assert.Contains(t, kc.Status.FailedNodes[0].Error, "ProtocolMismatch")
	workers["w"].awaitLabel(t, true)
	assert.Equal(t, before, seen.nodeWrites("w"))
	workers["w"].reports(t, node.PhaseInstalled)
	c.awaitCounts(t, "kata", "1/0/0/0 of 1 Completed")
}
