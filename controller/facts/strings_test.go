// SPDX-License-Identifier: Apache-2.0

package facts_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
)

func TestNodesShareWhatTheyHaveInCommonAndNothingChanges(t *testing.T) {
	t.Parallel()
	var shared facts.Strings
	read := func() facts.Node {
		n := facts.OfNode(whole(t))
		// As a decoder makes them: equal texts in different places.
		n.Labels = facts.LabelsOf(map[string]string{string([]byte("key")): string([]byte("value")), corev1.LabelHostname: string([]byte("host"))})
		return n
	}
	a, b := read(), read()
	shared.Share(&a)
	shared.Share(&b)
	assert.Equal(t, read(), a)
	assert.Equal(t, read(), b)
	assert.Same(t, unsafe.StringData(a.Labels.Get("key")), unsafe.StringData(b.Labels.Get("key")))
	assert.Same(t, unsafe.StringData(a.Intent.Payload), unsafe.StringData(b.Intent.Payload))
	assert.Same(t, &a.Handlers[0], &b.Handlers[0])
}

func TestMoreTextsThanAreSharedChangeNothing(t *testing.T) {
	t.Parallel()
	var shared facts.Strings
	for i := range 10_000 {
		labels := facts.LabelsOf(map[string]string{fmt.Sprint("key", i): fmt.Sprint("value", i)})
		n := facts.Node{Labels: labels, Handlers: []string{fmt.Sprint("handler", i)}}
		shared.Share(&n)
		assert.Equal(t, labels, n.Labels)
		assert.Equal(t, []string{fmt.Sprint("handler", i)}, n.Handlers)
	}
}

// What thousands of Nodes have in common is in memory once: a Node with the labels of another one,
// and a host name of its own, costs no map.
func TestASetOfLabelsIsKeptOnce(t *testing.T) {
	t.Parallel()
	var shared facts.Strings
	read := func(i int) facts.Labels {
		set := map[string]string{corev1.LabelHostname: fmt.Sprint("host", i)}
		for label := range 30 {
			set[fmt.Sprint("label", label)] = "true"
		}
		n := facts.Node{Labels: facts.LabelsOf(set)}
		shared.Share(&n)
		return n.Labels
	}
	first := read(0)
	for i := range 100 {
		next := read(i)
		assert.Equal(t, fmt.Sprint("host", i), next.Get(corev1.LabelHostname))
		assert.Equal(t, first.Shared(), next.Shared())
	}
}

func TestAHeartbeatKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	before, later := facts.OfNode(whole(t)), facts.OfNode(whole(t))
	later.ResourceVersion = "8"
	assert.True(t, later.Renews(&before))
	later.Reuse(&before)
	assert.Same(t, before.Intent, later.Intent)
	assert.Same(t, before.Report, later.Report)
	assert.Same(t, unsafe.StringData(before.UID), unsafe.StringData(later.UID))
	assert.Equal(t, before.Labels.Shared(), later.Labels.Shared())
	assert.Equal(t, "8", later.ResourceVersion)
	assert.Equal(t, "7", before.ResourceVersion)
}

func TestANewVersionKeepsWhatIsEqual(t *testing.T) {
	t.Parallel()
	before, later := facts.OfNode(whole(t)), facts.OfNode(whole(t))
	later.Ready, later.Report.Phase = false, node.PhaseInstalled
	assert.False(t, later.Renews(&before))
	later.Reuse(&before)
	assert.Same(t, before.Intent, later.Intent)
	assert.False(t, later.Ready)
	assert.True(t, before.Ready)
	assert.Equal(t, node.PhaseInstalled, later.Report.Phase)
	assert.Equal(t, node.PhaseIdle, before.Report.Phase)
}

func TestAnInformerFindsKeyAndVersionOfANode(t *testing.T) {
	t.Parallel()
	n := facts.OfNode(whole(t))
	key, err := cache.MetaNamespaceKeyFunc(&n)
	require.NoError(t, err)
	assert.Equal(t, "w", key)
	object, err := meta.Accessor(&n)
	require.NoError(t, err)
	assert.Equal(t, "7", object.GetResourceVersion())
}

func TestTheContentOfAnEditedIntentHasAnotherID(t *testing.T) {
	t.Parallel()
	n := facts.OfNode(whole(t))
	assert.Equal(t, n.Intent.ID, n.Content())
	edited := facts.Node{UID: n.UID, Intent: new(*n.Intent)}
	edited.Intent.Payload = ""
	assert.NotEqual(t, n.Intent.ID, edited.Content())
	assert.Empty(t, facts.Node{}.Content())
}
