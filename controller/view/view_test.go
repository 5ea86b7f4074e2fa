// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/view"
)

func stored(version string, labels map[string]string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", ResourceVersion: version, Labels: labels}}
}

func ready(n *corev1.Node, boot string) *corev1.Node {
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	n.Status.NodeInfo.BootID = boot
	return n
}

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func TestWhatWasWrittenIsSeenUntilTheCacheHasIt(t *testing.T) {
	t.Parallel()
	var v view.Nodes
	v.Wrote(stored("8", map[string]string{"a": "written"}))
	assert.Equal(t, "written", v.Read(factstest.Cached(stored("7", nil)), noon)[0].Labels.Get("a"))
	assert.Equal(t, "later", v.Read(factstest.Cached(stored("9", map[string]string{"a": "later"})), noon)[0].Labels.Get("a"))
	assert.Empty(t, v.Read(factstest.Cached(stored("7", nil)), noon)[0].Labels, "and is forgotten then")
}

func TestWhatWasWrittenToANodeThatWasMadeAgainIsNotSeen(t *testing.T) {
	t.Parallel()
	var v view.Nodes
	v.Wrote(stored("8", map[string]string{"a": "written"}))
	again := stored("7", nil)
	again.UID = types.UID("other")
	assert.Empty(t, v.Read(factstest.Cached(again), noon)[0].Labels)
	v.Wrote(stored("8", map[string]string{"a": "written"}))
	assert.Empty(t, v.Read(nil, noon))
	assert.Empty(t, v.Read(factstest.Cached(stored("7", nil)), noon)[0].Labels, "a Node that is gone takes it along")
}

func TestSinceMovesWithWhatMattersAlone(t *testing.T) {
	t.Parallel()
	var v view.Nodes
	read := func(n *corev1.Node, at time.Duration) time.Time {
		return v.Read(factstest.Cached(n), noon.Add(at))[0].Since
	}
	assert.Equal(t, noon, read(ready(stored("1", nil), "b"), 0))
	assert.Equal(t, noon, read(ready(stored("2", map[string]string{"x": "y"}), "b"), time.Minute), "a label is not progress")
	assert.Equal(t, noon.Add(2*time.Minute), read(stored("3", nil), 2*time.Minute), "not Ready any more")
	assert.Equal(t, noon.Add(3*time.Minute), read(ready(stored("4", nil), "c"), 3*time.Minute))
}

func TestATextThatChangesIsNoProgress(t *testing.T) {
	t.Parallel()
	var v view.Nodes
	failing := func(version, message string) *corev1.Node {
		n := stored(version, nil)
		document, err := node.Report{
			Version: node.Version, BootID: "b", Phase: node.PhaseInstalling, Error: &node.Error{Step: "pull payload", Reason: "PullPayloadFailed", Message: message},
		}.Encode()
		require.NoError(t, err)
		n.Annotations = map[string]string{node.ReportAnnotation: document}
		return n
	}
	v.Read(factstest.Cached(failing("1", "dial 10.0.0.1:40001")), noon)
	assert.Equal(t, noon, v.Read(factstest.Cached(failing("2", "dial 10.0.0.1:40002")), noon.Add(time.Hour))[0].Since)
}

func TestWhatHasChangedIsReturnedOnce(t *testing.T) {
	t.Parallel()
	var v view.Nodes
	cached := func(nodes ...*corev1.Node) map[string]*facts.Node {
		out := map[string]*facts.Node{}
		for _, n := range factstest.Cached(nodes...) {
			out[n.Name] = n
		}
		return out
	}
	first := cached(stored("7", nil))
	assert.Equal(t, noon, v.Update(first, noon)["n"].Since)
	assert.Empty(t, v.Update(first, noon.Add(time.Hour)))

	v.Wrote(stored("8", map[string]string{"a": "written"}))
	assert.Equal(t, "written", v.Update(nil, noon.Add(time.Hour))["n"].Labels.Get("a"))
	assert.Empty(t, v.Update(nil, noon))
	assert.Empty(t, v.Update(cached(stored("7", nil)), noon), "the cache is behind")
	later := v.Update(cached(stored("9", map[string]string{"a": "later"})), noon)["n"]
	assert.Equal(t, "later", later.Labels.Get("a"))
	assert.Equal(t, noon, later.Since)

	assert.Equal(t, map[string]*facts.Node{"n": nil}, v.Update(map[string]*facts.Node{"n": nil, "never seen": nil}, noon))
	v.Wrote(stored("10", nil))
	assert.Empty(t, v.Update(nil, noon), "it was deleted")
	assert.Empty(t, v.All())
}

func TestARefreshFindsWhatWasDeleted(t *testing.T) {
	t.Parallel()
	var v view.Nodes
	all := factstest.Cached(stored("7", nil))
	v.Refresh(all, noon)
	assert.Empty(t, v.Refresh(all, noon))
	assert.Equal(t, map[string]*facts.Node{"n": nil}, v.Refresh(nil, noon))
}
