// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/stretchr/testify/require"
)

// life is a small cluster in which everything happens that both halves have to live with, in
// virtual time. Its nodes have the real agent on a host for tests; the controller's decisions are
// the real ones, on caches that may be behind. Everything that happens by chance comes from one
// seed.
type life struct {
	decidetest.Cluster

	t    *testing.T
	seed uint64
	rnd  decidetest.Dice
	now  time.Time

	nodes  []*resident
	victim *resident // the node that is broken at some time, nil for none
	fault  string    // what is wrong with it then

	leader *instance
	former []*instance // instances that have lost the lease without knowing it

	calm, ending bool // without accidents, without new KataConfigs
	unguarded    bool // whether the admission policies are missing
	busy         bool // whether anything changed in this round
	steps        int

	verbose bool
	story   []string // what happened, if verbose
}

// Payloads of a life. The bad one starts on no host, the lost one is in no registry.
func good() hosttest.Payload  { return lively("1.0.0", "#!/bin/true one") }
func newer() hosttest.Payload { return lively("2.0.0", "#!/bin/true two") }
func bad() hosttest.Payload   { return lively("3.0.0", hosttest.Broken) }
func lost() hosttest.Payload  { return lively("4.0.0", "#!/bin/true four") }

func lively(version, shim string) hosttest.Payload {
	return hosttest.Payload{Version: version, Shim: shim, Further: []string{"rs"}, Requires: manifest.Requires{KVM: true}}
}

func newLife(t *testing.T, seed uint64, verbose bool) *life {
	t.Helper()
	w := &life{t: t, seed: seed, rnd: decidetest.Dice{Rand: rand.New(rand.NewPCG(seed, 2))}, now: time.Unix(1_800_000_000, 0), verbose: verbose}
	for i := range 2 + w.rnd.IntN(3) {
		r := &resident{w: w, name: fmt.Sprintf("n%d", i), pool: w.rnd.One("x", "y"), lists: w.rnd.Likely(70)}
		w.nodes = append(w.nodes, r)
		r.machine()
		r.register()
	}
	w.victim, w.fault = w.nodes[w.rnd.IntN(len(w.nodes))], w.rnd.One(unfit, silent, dead, notReady)
	w.administrator().Create("kc0", w.now)
	w.lead()
	return w
}

func (w *life) any() *resident { return w.nodes[w.rnd.IntN(len(w.nodes))] }

func (w *life) named(name string) *resident {
	return w.nodes[slices.IndexFunc(w.nodes, func(r *resident) bool { return r.name == name })]
}

// round lets everybody act once, in an order that is never the same.
func (w *life) round() {
	w.busy = false
	w.now = w.now.Add(30 * time.Second)
	if w.calm {
		w.now = w.now.Add(90 * time.Second)
	}
	for _, i := range w.rnd.Perm(len(w.nodes)) {
		w.nodes[i].act()
		w.nodes[i].schedule()
		w.step()
	}
	if !w.calm && w.rnd.Likely(30) {
		w.accident()
		w.step()
	}
	w.leads()
	w.step()
	for _, r := range w.nodes {
		r.remember()
	}
}

// live is one life: accidents, their end, a removal with accidents, and what is left of it.
func (w *life) live() {
	w.t.Helper()
	for range stormy {
		w.round()
	}
	w.repair()
	w.settles()
	w.installed()
	w.calm, w.ending = false, true
	for _, name := range decidetest.Names(w.Configs.Now) {
		w.administrator().Delete(w.Configs.Now[name], w.now, w.calm)
	}
	for range stormy / 3 {
		w.round()
	}
	w.victim.heals()
	w.victim = nil
	w.repair()
	w.settles()
	w.removed()
}

// settles waits until nothing is written any more, however long it waits.
func (w *life) settles() {
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
func (w *life) installed() {
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
			switch r := w.named(n.Name); {
			case r.ailment != "":
			case n.Wanted == nil || !n.Labelled() || r.serving() != n.Wanted.Payload || len(n.Unlabelled()) > 0 || !n.Settled() || n.Intent.Owner.UID != p.Config.UID || n.Cordoned:
				w.fails("%s is not as %s wants it: %s", n.Name, p.Config.Name, r.sentence)
			default:
				done++
			}
		}
		s := w.Configs.Now[p.Config.Name].Status
		if int(s.CompletedNodesCount) < done || int(s.TotalNodesCount) < done {
			w.fails("%s does not say that %d nodes are complete: %+v", p.Config.Name, done, s)
		}
	}
}

// removed is what is left once every KataConfig was deleted.
func (w *life) removed() {
	w.t.Helper()
	for _, r := range w.nodes {
		w.isClean(r)
	}
	if len(w.Configs.Now) > 0 || w.Classes.Now[node.RuntimeClass] != nil {
		w.fails("KataConfigs %v or the RuntimeClass %v are left", decidetest.Names(w.Configs.Now), w.Classes.Now)
	}
}

func (w *life) isClean(r *resident) {
	w.t.Helper()
	n := r.object()
	_, intent := n.Annotations[node.IntentAnnotation]
	further := facts.OfNode(n).FurtherLabels()
	if r.ailment == "" && (intent || n.Labels[node.ReadyLabel] != "" || len(further) > 0 || r.left() != "") {
		w.fails("%s is not clean: %s; %s", r.name, r.left(), r.sentence)
	}
}

// division is by what the API server has.
func (w *life) division() selection.Division {
	seen := decide.Seen{Configs: slices.Collect(maps.Values(w.Configs.Now))}
	for _, name := range decidetest.Names(w.Nodes.Now) {
		seen.Nodes = append(seen.Nodes, facts.OfNode(w.Nodes.Now[name]))
	}
	return decidetest.Divide(seen, w.settings())
}

func (w *life) settings() decide.Settings {
	return decide.Settings{
		DefaultPayload: good().Reference(),
		AgentDeadline:  5 * time.Minute, ProgressDeadline: 30 * time.Minute, FailureGrace: 10 * time.Minute,
	}
}

// tells keeps what happened.
func (w *life) tells(format string, args ...any) {
	if w.verbose {
		w.story = append(w.story, w.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
	}
}

// shownLines is how many lines of a life's story are shown.
const shownLines = 80

// fails ends the test with what a person needs who looks for the reason.
func (w *life) fails(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.story[max(0, len(w.story)-shownLines):] {
		w.t.Log(line)
	}
	for _, r := range w.nodes {
		w.t.Logf("%s (%s): pods %v, serves %q, CRI-O knows %v, left %q: %s", r.name, r.ailment, r.podNames(), r.serving(), r.host.Handlers, r.left(), r.sentence)
		if n := r.object(); n != nil {
			w.t.Logf("  labels %v, unschedulable %v, %v, %v", n.Labels, n.Spec.Unschedulable, n.Annotations, n.Status.Conditions)
		}
	}
	for _, name := range decidetest.Names(w.Configs.Now) {
		kc := w.Configs.Now[name]
		w.t.Logf("%s: deleted %v, finalizers %v, %+v, %+v", name, kc.DeletionTimestamp, kc.Finalizers, kc.Spec, kc.Status)
	}
	require.FailNowf(w.t, "simulation", "seed %d (replay: -run TestEveryLife -seed %d): "+format, append([]any{w.seed, w.seed}, args...)...)
}
