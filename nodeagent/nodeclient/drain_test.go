// SPDX-License-Identifier: Apache-2.0

package nodeclient_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/kata-node/kata-node/api/node"
)

// modify takes a patch of the Node itself, which names the version that it was made from.
func (a *api) modify(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The client was stopped.
	}
	var named corev1.Node
	a.check(json.Unmarshal(body, &named))
	a.mu.Lock()
	stale := named.ResourceVersion != a.node.ResourceVersion
	if a.meddle != nil {
		stale = true
	}
	a.mu.Unlock()
	if stale {
		if meddle := a.meddle; meddle != nil {
			a.meddle = nil
			a.change(meddle)
		}
		a.answer(w, http.StatusConflict, apierrors.NewConflict(schema.GroupResource{Resource: "nodes"}, nodeName, nil).ErrStatus)
		return
	}
	a.change(func(n *corev1.Node) {
		before, err := json.Marshal(n)
		a.check(err)
		after, err := strategicpatch.StrategicMergePatch(before, body, corev1.Node{})
		a.check(err)
		*n = corev1.Node{}
		a.check(json.Unmarshal(after, n))
	})
	a.get(w, r)
}

func (a *api) get(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer(w, http.StatusOK, a.node)
}

// evict refuses what a budget guards.
func (a *api) evict(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := r.PathValue("pod")
	a.evicted = append(a.evicted, name)
	if a.guarded[name] {
		refusal := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 10).ErrStatus
		w.Header().Set("Retry-After", "10")
		refusal.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		a.answer(w, http.StatusTooManyRequests, refusal)
		return
	}
	a.answer(w, http.StatusCreated, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
}

// bind makes the scheduler's write, of which no watch says anything.
func (a *api) bind(p corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pods = append(a.pods, p)
}

// mayReboot is a Node whose intent has a grant to reboot in this boot.
func mayReboot(t *testing.T, boot string) *corev1.Node {
	t.Helper()
	intent := node.Intent{State: node.StateInstalled, Payload: "registry.example.com/p@sha256:" + strings.Repeat("a", 64)}.Identify("u")
	intent.Grants.Reboot = boot
	document, err := intent.Encode()
	require.NoError(t, err)
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{node.IntentAnnotation: document}}}
}

// The watch may be late: what counts is the version that is cordoned.
func TestANodeIsNotCordonedByAGrantThatWasTakenBack(t *testing.T) {
	t.Parallel()
	a := newAPI(t, mayReboot(t, "boot-1"))
	c := a.connect()
	a.meddle = func(n *corev1.Node) { n.Annotations = mayReboot(t, "").Annotations }
	require.ErrorContains(t, c.Cordon(t.Context(), "boot-1"), "the grant of its reboot was taken back")
	assert.False(t, c.State().Cordoned)
	a.change(func(n *corev1.Node) { n.Annotations = nil })
	require.ErrorContains(t, c.Cordon(t.Context(), "boot-1"), "reading intent")
}

func TestOnlyWhatTheAgentCordonedItUncordons(t *testing.T) {
	t.Parallel()
	a := newAPI(t, mayReboot(t, "boot-1"))
	c := a.connect()
	require.NoError(t, c.Cordon(t.Context(), "boot-1"))
	assert.True(t, c.State().Cordoned, "it knows before the watch does")
	assert.Equal(t, "boot-1", c.State().CordonedIn)
	require.NoError(t, c.Uncordon(t.Context()))
	assert.False(t, c.State().Cordoned)
	assert.Empty(t, c.State().CordonedIn)

	a.change(func(n *corev1.Node) { n.Spec.Unschedulable = true })
	for range 2 {
		require.NoError(t, c.Cordon(t.Context(), "boot-1"))
		require.NoError(t, c.Uncordon(t.Context()))
	}
	assert.True(t, c.State().Cordoned, "another person wants it so")
	assert.Empty(t, c.State().CordonedIn)
}

func TestACordonThatAnotherHandWasFasterWithIsNotTheAgents(t *testing.T) {
	t.Parallel()
	a := newAPI(t, mayReboot(t, "boot-1"))
	c := a.connect()
	a.meddle = func(n *corev1.Node) { n.Spec.Unschedulable = true }
	require.NoError(t, c.Cordon(t.Context(), "boot-1"))
	assert.True(t, c.State().Cordoned)
	assert.Empty(t, c.State().CordonedIn)
}

func TestWhatAnEvictionIsFor(t *testing.T) {
	t.Parallel()
	daemon, static, ending := pod("daemon", "", corev1.PodRunning), pod("static", "", corev1.PodRunning), pod("ending", "", corev1.PodRunning)
	daemon.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "d", UID: "u", Controller: new(true)}}
	static.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}
	ending.DeletionTimestamp = new(metav1.Now())
	ending.Finalizers = []string{"example.com/f"}
	a := newAPI(t, &corev1.Node{}, pod("kata", "kata-oc", corev1.PodRunning), pod("plain", "", corev1.PodPending), pod("guarded", "", corev1.PodRunning),
		pod("done", "", corev1.PodSucceeded), pod("failed", "", corev1.PodFailed), daemon, static, ending)
	a.guarded = map[string]bool{"guarded": true}
	c := a.connect()
	assert.Equal(t, []string{"ns/guarded", "ns/kata", "ns/plain"}, c.State().Evictable)
	assert.Equal(t, []string{"ns/ending"}, c.State().Ending)
	require.ErrorContains(t, c.Evict(t.Context()), "evicting pod ns/guarded: Cannot evict pod as it would violate the pod's disruption budget")
	assert.Equal(t, []string{"guarded", "kata", "plain"}, a.evicted, "one that is guarded keeps no other, and is asked for once")
}

func TestAPodThatTheWatchHasNotShownKeepsTheNodeUp(t *testing.T) {
	t.Parallel()
	daemon := pod("daemon", "", corev1.PodRunning)
	daemon.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "d", UID: "u", Controller: new(true)}}
	a := newAPI(t, mayReboot(t, "boot-1"), daemon, pod("done", "", corev1.PodSucceeded))
	c := a.connect()
	c.BindFor(0)
	require.NoError(t, c.Cordon(t.Context(), "boot-1"))
	require.NoError(t, c.Vacant(t.Context()))

	late := pod("late", "", corev1.PodPending)
	a.bind(late)
	assert.Empty(t, c.State().Evictable, "the watch says nothing")
	require.EqualError(t, c.Vacant(t.Context()), "pod ns/late runs here and is evicted first (1 in all)")

	c.BindFor(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Vacant(ctx), context.Canceled)
}
