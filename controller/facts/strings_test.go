// SPDX-License-Identifier: Apache-2.0

package facts_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/controller/facts"
)

func TestNodesShareWhatTheyHaveInCommonAndNothingChanges(t *testing.T) {
	t.Parallel()
	var shared facts.Strings
	read := func() facts.Node {
		n := facts.OfNode(whole(t))
		// As a decoder makes them: equal texts in different places.
		n.Labels = map[string]string{string([]byte("key")): string([]byte("value"))}
		return n
	}
	a, b := read(), read()
	shared.Share(&a)
	shared.Share(&b)
	assert.Equal(t, read(), a)
	assert.Equal(t, read(), b)
	assert.Same(t, unsafe.StringData(a.Labels["key"]), unsafe.StringData(b.Labels["key"]))
	assert.Same(t, unsafe.StringData(a.Intent.Payload), unsafe.StringData(b.Intent.Payload))
	assert.Same(t, &a.Handlers[0], &b.Handlers[0])
}

func TestMoreTextsThanAreSharedChangeNothing(t *testing.T) {
	t.Parallel()
	var shared facts.Strings
	for i := range 10_000 {
		n := facts.Node{Labels: map[string]string{fmt.Sprint("key", i): fmt.Sprint("value", i)}, Handlers: []string{fmt.Sprint("handler", i)}}
		shared.Share(&n)
		assert.Equal(t, map[string]string{fmt.Sprint("key", i): fmt.Sprint("value", i)}, n.Labels)
		assert.Equal(t, []string{fmt.Sprint("handler", i)}, n.Handlers)
	}
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
