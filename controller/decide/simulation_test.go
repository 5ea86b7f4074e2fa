// SPDX-License-Identifier: Apache-2.0

package decide_test

import (
	"flag"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
)

var (
	seeds = flag.Uint64("seeds", 100, "how many random clusters to simulate")
	first = flag.Uint64("first-seed", 1, "the first of them")
	least = flag.Int64("steps", 0, "fail where the clusters of a test take fewer steps")
)

const (
	stormy = 70  // rounds with accidents
	calmed = 400 // rounds without, in which everything has to come to an end
	rest   = 6   // rounds without any change; together they are longer than every deadline
)

// Whatever happened before: once the accidents are over, every node that is not broken is what its
// KataConfig wants, beside one that is broken for ever. After its repair, nothing of a removal is
// left. The simulation itself checks that no step on the way does harm (invariants_test.go).
func TestEveryClusterComesToItsEnd(t *testing.T) {
	t.Parallel()
	everySeed(t, false)
}

// The same where an instance that has lost its lease makes its writes all the same.
func TestEveryClusterSurvivesTheWritesOfAFormerLeader(t *testing.T) {
	t.Parallel()
	everySeed(t, true)
}

func everySeed(t *testing.T, late bool) {
	t.Helper()
	workers := uint64(runtime.GOMAXPROCS(0))
	var steps atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d steps in %d clusters", steps.Load(), *seeds)
		require.GreaterOrEqual(t, steps.Load(), *least)
	})
	for worker := range workers {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := *first + worker; seed < *first+*seeds; seed += workers {
				w := newWorld(t, seed, late)
				w.live()
				steps.Add(int64(w.steps))
			}
		})
	}
}

func (w *world) live() {
	w.t.Helper()
	for range stormy {
		w.round()
	}
	w.repair()
	w.settles()
	w.installed()
	w.restsForADay()
	w.calm, w.ending = false, true
	for _, name := range decidetest.Names(w.Configs.Now) {
		w.administrator().Delete(w.Configs.Now[name], w.now, w.calm)
	}
	for range stormy / 4 {
		w.round()
	}
	w.hosts[w.victim].broken = ""
	w.victim = -1
	w.repair()
	w.settles()
	w.removed()
}

// settles waits until nothing is written any more, however long it waits.
func (w *world) settles() {
	w.t.Helper()
	for quiet, rounds := 0, 0; quiet < rest; rounds++ {
		if rounds > calmed {
			w.fails("things are written for ever")
		}
		w.round()
		quiet++
		if w.busy {
			quiet = 0
			continue
		}
		w.now = w.now.Add(10 * time.Minute)
	}
}

// installed is true of every node but the broken one.
func (w *world) installed() {
	w.t.Helper()
	d := w.division()
	for _, n := range d.Unowned {
		w.isClean(w.named(n.Name))
	}
	for _, p := range d.Pools {
		for _, n := range p.Leaving {
			w.isClean(w.named(n.Name))
		}
		done := 0
		for _, n := range p.Members {
			switch h := w.named(n.Name); {
			case h.broken != "":
			case n.Wanted == nil || !n.Labelled() || n.Starting || h.serving != n.Wanted.Payload || len(n.Unlabelled()) > 0 || !n.Settled() || n.Intent.Owner.UID != p.Config.UID:
				w.fails("%s is not as %s wants it", n.Name, p.Config.Name)
			default:
				done++
				w.hasAhead(p, n)
			}
		}
		w.saysSo(p, done)
	}
}

func (w *world) saysSo(p selection.Pool, done int) {
	w.t.Helper()
	s := w.Configs.Now[p.Config.Name].Status
	if int(s.CompletedNodesCount) < done || int(s.TotalNodesCount) < done {
		w.fails("%s does not say that %d nodes are complete: %+v", p.Config.Name, done, s)
	}
	class := w.Classes.Now[node.RuntimeClass]
	if !p.Config.Deleting && class == nil {
		w.fails("there is no RuntimeClass for %s", p.Config.Name)
	}
	if done > 0 && class.Scheduling.NodeSelector[node.ReadyLabel] == "" {
		w.fails("no pod finds the nodes of %s: %v", p.Config.Name, class.Scheduling)
	}
}

func (w *world) isClean(h *host) {
	w.t.Helper()
	n := h.object()
	_, intent := n.Annotations[node.IntentAnnotation]
	further := facts.OfNode(n).FurtherLabels()
	sound := h.broken == "" || h.broken == degraded
	if sound && (intent || h.labelled() || len(further) > 0 || h.dropIn || h.slot != "" || h.serving != "") {
		w.fails("%s is not clean", h.name)
	}
}

func (w *world) removed() {
	w.t.Helper()
	for _, h := range w.hosts {
		w.isClean(h)
	}
	if len(w.Configs.Now) > 0 || w.Classes.Now[node.RuntimeClass] != nil {
		w.fails("KataConfigs %v or the RuntimeClass %v are left", decidetest.Names(w.Configs.Now), w.Classes.Now)
	}
}
