// SPDX-License-Identifier: Apache-2.0

package controller //nolint:testpackage // the informer has no other way in

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
)

// An API server that streams no list is asked for pages, and never for its whole cache.
func TestNodesAreListedInPages(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var queries []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if q.URL.Query().Get("sendInitialEvents") != "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			assert.NoError(t, json.NewEncoder(w).Encode(metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity}))
			return
		}
		if q.URL.Query().Get("watch") != "" {
			<-q.Context().Done()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		queries = append(queries, fmt.Sprintf("%q %q %q", q.URL.Query().Get("resourceVersion"), q.URL.Query().Get("limit"), q.URL.Query().Get("continue")))
		list := corev1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}, Items: []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: "7"}}}}
		if q.URL.Query().Get("continue") == "" {
			list.Continue, list.Items[0].Name = "next", "b"
		}
		assert.NoError(t, json.NewEncoder(w).Encode(list))
	}))
	t.Cleanup(server.Close) // After the context of the test has ended, and with it the watch.
	kube, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	informer, err := watchNodes(kube)
	require.NoError(t, err)
	go informer.RunWithContext(t.Context())
	require.True(t, cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced))
	nodes := all[*facts.Node](informer)
	require.Len(t, nodes, 2)
	assert.Equal(t, "7", nodes[0].ResourceVersion)
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, []string{`"" "100" ""`, `"" "100" "next"`}, queries)
}

func TestAHeartbeatIsANewVersionWithNothingNew(t *testing.T) {
	t.Parallel()
	before := &facts.Node{Name: "n", ResourceVersion: "1", Ready: true}
	later := *before
	later.ResourceVersion = "2"
	assert.True(t, heartbeat(before, &later))
	later.Ready = false
	assert.False(t, heartbeat(before, &later))
}

// While a pass has not taken a heartbeat in, the cache's new version and the pass's old one share
// what they say: thousands of heartbeats between two passes cost next to no memory.
func TestTheCacheSharesWhatAHeartbeatRepeats(t *testing.T) {
	t.Parallel()
	intent, err := node.Intent{State: node.StateAbsent}.Identify("u").Encode()
	require.NoError(t, err)
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "u", ResourceVersion: "7", Annotations: map[string]string{node.IntentAnnotation: intent}}}
	kube := fake.NewClientset(n)
	informer, err := watchNodes(kube)
	require.NoError(t, err)
	go informer.RunWithContext(t.Context())
	require.True(t, cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced))
	before := all[*facts.Node](informer)[0]
	for _, version := range []string{"8", "9"} {
		n = n.DeepCopy()
		n.ResourceVersion = version
		n.Status.Images = []corev1.ContainerImage{{Names: []string{"an image"}, SizeBytes: 1}}
		_, err = kube.CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return all[*facts.Node](informer)[0].ResourceVersion == version }, time.Minute, time.Millisecond)
		after := all[*facts.Node](informer)[0]
		assert.NotSame(t, before, after)
		assert.Same(t, before.Intent, after.Intent)
	}
	assert.Equal(t, "7", before.ResourceVersion, "a pass may have it")
}
