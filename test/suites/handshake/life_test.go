// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/decide/decidetest"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/payload/manifest"
	"github.com/stretchr/testify/assert"
)

const seeds decidetest.Seeds = 20

// Next to a node that stays broken, every other one is in the end what its KataConfig wants, and no
// step on the way does harm (package decidetest). Both halves are the real ones: the agent with its
// passes, plans and steps, on a host for tests, and the controller's decisions and caches.
func TestEveryLifeComesToItsEnd(t *testing.T) {
	t.Parallel()
	seeds.Every(t, lives)
}

func lives(t *testing.T, seed uint64) int {
	t.Helper()
	w := newLife(t, seed)
	w.Live()
	return w.Steps
}

// Otherwise no failure could be replayed from its seed.
func TestALifeIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	type end struct {
		steps   int
		version string
		chance  uint64
	}
	var ends []end
	for range 2 {
		w := newLife(t, seeds.First(t))
		w.Live()
		ends = append(ends, end{w.Steps, w.Next(), w.Uint64()})
	}
	assert.Equal(t, ends[0], ends[1])
}

// life is a small cluster in which everything happens that both halves have to live with. Its nodes
// have the real agent on a host for tests.
type life struct {
	decidetest.Life

	victim *resident // the node that is broken at some time, nil for none
	fault  string    // what is wrong with it then
}

// Payloads of a life. The bad one starts on no host, the lost one is in no registry.
func good() hosttest.Payload  { return lively("1.0.0", "#!/bin/true one") }
func newer() hosttest.Payload { return lively("2.0.0", "#!/bin/true two") }
func bad() hosttest.Payload   { return lively("3.0.0", hosttest.Broken) }
func lost() hosttest.Payload  { return lively("4.0.0", "#!/bin/true four") }

func lively(version, shim string) hosttest.Payload {
	return hosttest.Payload{Version: version, Shim: shim, Further: []string{"rs"}, Requires: manifest.Requires{KVM: true}}
}

func newLife(t *testing.T, seed uint64) *life {
	t.Helper()
	w := &life{}
	w.Life = decidetest.New(t, w, seed, true, seeds.Count(t) == 1)
	for i := range 2 + w.IntN(3) {
		r := &resident{w: w, lists: w.Likely(70)}
		r.Name, r.Pool, r.Life = fmt.Sprintf("n%d", i), w.One("x", "y"), &w.Life
		r.machine()
		r.Join(&w.Life, r)
	}
	w.victim, w.fault = w.any(), w.One(unfit, silent, dead, notReady)
	w.Begin()
	return w
}

func (w *life) any() *resident { return w.resident(w.Any()) }

// Settings are the controller's.
func (w *life) Settings() decide.Settings {
	return decide.Settings{
		DefaultPayload: good().Reference(),
		AgentDeadline:  5 * time.Minute, ProgressDeadline: 30 * time.Minute, FailureGrace: 10 * time.Minute,
	}
}

// Administrator may make two KataConfigs.
func (w *life) Administrator() decidetest.Administrator {
	payload := func(c *v1.KataInstallConfig) {
		c.PayloadImage = w.One("", newer().Reference(), newer().Reference(), bad().Reference(), lost().Reference())
	}
	return decidetest.Administrator{
		Cluster: &w.Cluster, Dice: w.Dice, Names: 2, Everywhere: 60, Moved: w.Moved,
		Changes: []func(*v1.KataInstallConfig){
			func(c *v1.KataInstallConfig) { c.Handlers = [][]v1.HandlerName{nil, {"rs"}}[w.IntN(2)] },
			payload, payload, // The likeliest change.
		},
	}
}

// Reader adds nothing: there is no catalogue.
func (*life) Reader() func(*decide.Seen) { return func(*decide.Seen) {} }

// Meanwhile is what happens on a node in a round.
func (w *life) Meanwhile() { w.any().acts() }

// Rest is over at once.
func (*life) Rest() {}

// Heal repairs the broken node.
func (w *life) Heal() {
	w.victim.heals()
	w.victim = nil
}

// Sound is true where the host is.
func (*life) Sound(m decidetest.Machine) bool { return m.Base().Broken == "" }

// Complete has nothing to add.
func (*life) Complete(selection.Pool, selection.Member) {}

// Check holds for pods at every moment: what they run from stays, and those that are bound are
// served.
func (w *life) Check() {
	for _, m := range w.Machines {
		r := w.resident(m)
		if r.Serving() == "" && slices.ContainsFunc(r.pods, func(p *pod) bool { return !p.stray }) {
			w.Fails("%v are bound to %s, where nothing serves them", r.podNames(), r.Name)
		}
		for _, p := range r.pods {
			if p.slot != "" && !slices.Contains(r.host.Mounts, host.PayloadDir(p.slot)) {
				w.Fails("%s runs from slot %s of %s, which is not mounted any more: %v", p.name, p.slot, r.Name, r.host.Mounts)
			}
		}
	}
}

// Lands judges the label by what the host serves in this boot.
func (w *life) Lands(m decidetest.Machine, c rollout.Change) {
	r := w.resident(m)
	if c.Label == rollout.LabelSet && c.Node.BootID == r.self.BootID && r.current() == host.Target(host.Pending) {
		w.Fails("the label is set on %s, which serves from slot %s: %+v", r.Name, r.current(), c.Node)
	}
	if c.Intent != nil && c.Intent.State == node.StateAbsent || c.ClearIntent {
		r.Disrupted = ""
	}
}

func (*life) resident(m decidetest.Machine) *resident { return m.(*resident) } //nolint:errcheck,forcetypeassert // There are no others.
