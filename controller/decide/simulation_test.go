// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/facts/factstest"
)

var (
	seeds = flag.Uint64("seeds", 100, "how many random clusters to simulate")
	first = flag.Uint64("first-seed", 1, "the first of them")
)

const (
	stormy = 60  // rounds with faults
	quiet  = 200 // rounds without, in which everything has to come to an end
)

// One node of each cluster is broken. The others must be installed all the same, an update must
// reach them, and after its repair nothing of a removal may be left.
func TestEveryClusterComesToItsEnd(t *testing.T) {
	t.Parallel()
	for seed := *first; seed < *first+*seeds; seed++ {
		w := newWorld(t, seed)
		for range stormy {
			if w.likely(2) {
				w.config.Spec.Config.PayloadImage = factstest.PayloadB
				w.config.Generation++
			}
			w.round()
		}
		w.calm = true
		w.settles("installed", func(h *host) bool {
			return h.broken != "" || h.labelled() && h.serving == w.config.Spec.Config.PayloadImage
		})
		w.restsUnchanged()
		w.removes()
	}
}

// settles waits until every host is as wanted.
func (w *world) settles(what string, is func(*host) bool) {
	w.t.Helper()
	for range quiet {
		w.round()
		if !slices.ContainsFunc(w.hosts, func(h *host) bool { return !is(h) }) && int(w.config.Status.CompletedNodesCount) >= len(w.hosts)-1 {
			return
		}
	}
	for _, h := range w.hosts {
		require.True(w.t, is(h), "seed %d: %s (%s) is not %s: labels %v, %v; %+v", w.seed, h.stored.Name, h.broken, what, h.stored.Labels, h.stored.Annotations, w.config.Status)
	}
}

// restsUnchanged holds because nothing is left to do: a broken node is left alone.
func (w *world) restsUnchanged() {
	w.t.Helper()
	for range 70 {
		w.round() // the deadlines of the broken node pass
	}
	before, status := w.changes, w.config.Status
	require.GreaterOrEqual(w.t, int(status.CompletedNodesCount), len(w.hosts)-1, "seed %d: %+v", w.seed, status)
	for range 60 {
		w.round()
	}
	require.Equal(w.t, before, w.changes, "seed %d: Nodes are written at rest", w.seed)
	require.Equal(w.t, status, w.config.Status, "seed %d: the status is written at rest", w.seed)
}

// removes deletes the KataConfig, first with faults.
func (w *world) removes() {
	w.t.Helper()
	w.config.DeletionTimestamp = &metav1.Time{Time: w.now}
	w.calm = false
	for range stormy / 2 {
		if w.config == nil {
			break
		}
		w.round()
	}
	w.calm = true
	for _, h := range w.hosts {
		h.broken = ""
	}
	for rounds := 0; rounds < quiet && (w.config != nil || w.class != nil || rounds < 10); rounds++ {
		w.round()
	}
	require.Nil(w.t, w.config, "seed %d: the KataConfig is not released", w.seed)
	require.Nil(w.t, w.class, "seed %d: the RuntimeClass is left", w.seed)
	for _, h := range w.hosts {
		_, intent := h.stored.Annotations[node.IntentAnnotation]
		require.False(w.t, intent || h.labelled() || h.serving != "", "seed %d: %s is not clean: %v %v", w.seed, h.stored.Name, h.stored.Labels, h.stored.Annotations)
	}
}

func TestADecisionIsDueWhenANodeLosesItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for _, h := range w.hosts {
		h.broken = noKVM
	}
	w.calm = true
	for range 12 {
		w.round()
	}
	require.Equal(t, int32(1), w.config.Status.FailedNodesCount)
	due := 0
	for range 60 {
		w.round()
		if w.config.Status.FailedNodesCount > 1 {
			due++
		}
	}
	assert.Positive(t, due, "the next node is tried after the grace of a failed one")
	assert.Contains(t, w.config.Finalizers, facts.Finalizer)
	assert.Less(t, w.now.Sub(factstest.Noon()), time.Hour)
}
