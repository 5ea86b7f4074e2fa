// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// obey answers every intent of the node at once, as an agent without any work would, until the test
// ends.
func (w *worker) obey(t *testing.T) {
	t.Helper()
	watcher, err := w.kube.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + w.name})
	require.NoError(t, err)
	var group sync.WaitGroup
	group.Go(func() {
		for event := range watcher.ResultChan() {
			if n, ok := event.Object.(*corev1.Node); ok && event.Type != watch.Deleted {
				w.answer(t.Context(), t, n)
			}
		}
	})
	t.Cleanup(func() {
		watcher.Stop()
		group.Wait()
	})
}

func (w *worker) answer(ctx context.Context, t *testing.T, n *corev1.Node) {
	t.Helper()
	var answer node.Report
	intent, err := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
	switch {
	case err != nil:
		answer.Phase = node.PhaseIdle
	case intent.State == node.StateAbsent:
		answer.Phase, answer.IntentID = node.PhaseAbsent, intent.ID
	case intent.Grants.RestartCRIO == bootID:
		answer.Phase, answer.IntentID, answer.Payload = node.PhaseInstalled, intent.ID, node.Digest(intent.Payload)
	default:
		answer.Phase, answer.IntentID = node.PhaseAwaitingGrant, intent.ID
	}
	answer.Version, answer.BootID, answer.Architecture, answer.Speaks = node.Version, bootID, "amd64", []int{node.Version}
	document, err := answer.Encode()
	require.NoError(t, err)
	if document == n.Annotations[node.ReportAnnotation] {
		return
	}
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]any{node.ReportAnnotation: document}}}
	if err := w.patchStatus(ctx, patch); err != nil && ctx.Err() == nil {
		assert.NoError(t, err)
	}
}

// budget watches every Node, and remembers how many at most were allowed to restart CRI-O at the
// same moment.
type budget struct {
	mu          sync.Mutex
	outstanding map[string]bool
	most        int
}

func (b *budget) watch(t *testing.T, c *cluster) {
	t.Helper()
	b.outstanding = map[string]bool{}
	watcher, err := c.kube.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	t.Cleanup(watcher.Stop)
	go func() {
		for event := range watcher.ResultChan() {
			if n, ok := event.Object.(*corev1.Node); ok {
				b.see(n)
			}
		}
	}()
}

func (b *budget) see(n *corev1.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	intent, _ := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
	report, _ := node.DecodeReport(n.Annotations[node.ReportAnnotation])
	delete(b.outstanding, n.Name)
	if intent.Grants.RestartCRIO != "" && report.Phase != node.PhaseInstalled {
		b.outstanding[n.Name] = true
	}
	b.most = max(b.most, len(b.outstanding))
}

func TestAFleetIsInstalledUpdatedAndCleanedWithinItsBudgets(t *testing.T) {
	t.Parallel()
	const nodes, unavailable = 30, 2
	c := start(t)
	s := settings()
	s.Settle = 0 // Every event is a pass, and passes run on caches that lag behind.
	seen, _ := c.runLate(t, s, 20*time.Millisecond)
	for i := range nodes {
		w := c.worker(t, fmt.Sprintf("w%02d", i))
		w.reports(t, node.PhaseIdle)
		w.obey(t)
	}
	var b budget
	b.watch(t, c)
	began := time.Now()
	c.kataConfig(t, "kata", fmt.Sprintf("{config: {maxUnavailable: %d}}", unavailable))
	all := fmt.Sprintf("%d/0/0/0 of %d Completed", nodes, nodes)
	c.awaitCounts(t, "kata", all)
	t.Logf("%d nodes installed in %s", nodes, time.Since(began).Round(time.Millisecond))
	b.mu.Lock()
	assert.LessOrEqual(t, b.most, unavailable)
	assert.Positive(t, b.most)
	b.mu.Unlock()
	for i := range nodes {
		assert.LessOrEqual(t, seen.nodeWrites(fmt.Sprintf("w%02d", i)), 4)
	}

	c.kataConfig(t, "kata", fmt.Sprintf("{config: {maxUnavailable: %d, payloadImage: '%s'}}", unavailable, payloadB))
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		kc, err := c.get(ctx, "kata")
		if assert.NoError(t, err) {
			assert.Equal(t, payloadB, kc.Status.KataImage)
			assert.Equal(t, all, counts(kc))
		}
	})
	c.delete(t, "kata")
	c.awaitGone(t, "kata")
	list, err := c.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, n := range list.Items {
		assert.NotContains(t, n.Annotations, node.IntentAnnotation)
		assert.NotContains(t, n.Labels, node.ReadyLabel)
	}
}
