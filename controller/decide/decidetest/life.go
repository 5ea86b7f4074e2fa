// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	nodev1 "k8s.io/api/node/v1"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts/factstest"
	"github.com/kata-node/kata-node/controller/ledger"
	"github.com/kata-node/kata-node/controller/selection"
)

// Simulation is what is particular to one.
type Simulation interface {
	Events
	Judge
	// Administrator changes the KataConfigs.
	Administrator() Administrator
	// Settings are the controller's.
	Settings() decide.Settings
	// Reader returns what a new instance adds to what it sees, apart from the policies.
	Reader() func(*decide.Seen)
}

// Events are what happens in a life.
type Events interface {
	// Accident is something that happens to a node, to an object or to an administrator's mind.
	Accident()
	// Meanwhile is what happens now and then between two writes of an instance.
	Meanwhile()
	// Repair ends what only people can end, and that not every simulation has.
	Repair()
	// Rest is what happens while everything is installed.
	Rest()
	// Heal repairs the broken node.
	Heal()
}

// Life is a cluster from its first KataConfig to its last, in virtual time. Everything that happens
// by chance comes from one seed.
type Life struct {
	Cluster
	Dice

	T   *testing.T
	Now time.Time
	// Machines are the nodes.
	Machines []Machine
	// Leader is the instance that has the lease.
	Leader *Instance
	// Calm has no accidents, Ending no new KataConfigs.
	Calm, Ending bool
	// Unguarded is whether the admission policies are missing.
	Unguarded bool
	// Busy is whether anything changed in this round.
	Busy bool
	// Steps are looks of agents, passes, writes and accidents.
	Steps int
	// Kill is what happens to an instance at one of its writes, nil for nothing.
	Kill *Kill

	sim  Simulation
	seed uint64
	// former are instances that have lost the lease without knowing it, late whether their writes
	// arrive.
	former []*Instance
	late   bool
	// story is what happened, where it is to be shown.
	story   []string
	verbose bool
}

const (
	stormy = 70  // rounds with accidents
	calmed = 400 // rounds without, in which everything has to come to an end
	rest   = 6   // rounds without any change; together they are longer than every deadline
)

// New returns a life without nodes and without instances, at noon.
func New(t *testing.T, sim Simulation, seed uint64, late, verbose bool) Life {
	t.Helper()
	dice := Dice{rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // A life is replayed from its seed.
	return Life{T: t, Dice: dice, Now: factstest.Noon(), sim: sim, seed: seed, late: late, verbose: verbose}
}

// Begin makes the first KataConfig, and starts an instance.
func (l *Life) Begin() {
	l.sim.Administrator().Create("kc0", l.Now)
	l.lead()
}

// Live is accidents, their end, and a removal with accidents and one node that stays broken.
// Whatever happened before: once the accidents are over, every node that is not broken is what its
// KataConfig wants. After the repair of the broken one, nothing of a removal is left.
func (l *Life) Live() {
	l.T.Helper()
	l.rounds(stormy)
	l.EndAccidents()
	l.Settle()
	l.Installed()
	l.sim.Rest()
	l.Calm = false
	l.DeleteAll()
	l.rounds(stormy / 4)
	l.sim.Heal()
	l.EndAccidents()
	l.Settle()
	l.Removed()
}

func (l *Life) rounds(count int) {
	for range count {
		l.round()
	}
}

// round lets every node and the controller act once, in an order that is never the same.
func (l *Life) round() {
	l.Busy = false
	l.Now = l.Now.Add(30 * time.Second)
	if l.Calm {
		l.Now = l.Now.Add(90 * time.Second)
	}
	for _, i := range l.Perm(len(l.Machines)) {
		l.Machines[i].Act()
		l.Step()
	}
	if !l.Calm && l.Likely(30) {
		l.sim.Accident()
		l.Step()
	}
	l.leads()
	l.Step()
}

// Settle waits until nothing is written any more, however long it waits.
func (l *Life) Settle() {
	l.T.Helper()
	for quiet, rounds := 0, 0; quiet < rest; rounds++ {
		if rounds > calmed {
			l.Fails("things are written for ever")
		}
		l.round()
		quiet++
		if l.Busy {
			quiet = 0
			continue
		}
		l.Now = l.Now.Add(10 * time.Minute)
	}
}

// DeleteAll deletes every KataConfig; there will be no other.
func (l *Life) DeleteAll() {
	l.Ending = true
	for _, name := range Names(l.Configs.Now) {
		l.sim.Administrator().Delete(l.Configs.Now[name], l.Now, l.Calm)
	}
}

// EndAccidents ends everything that only people can end, except the one broken node.
func (l *Life) EndAccidents() {
	l.Calm, l.Unguarded, l.former = true, false, nil
	l.sim.Repair()
	l.lead()
	for _, m := range l.Machines {
		m.Base().repair()
	}
	for _, name := range Names(l.Configs.Now) {
		kc := l.Configs.Now[name].DeepCopy()
		kc.Spec.Config.Paused = false
		kc.Generation++
		l.Configs.Put(kc, l.Next())
	}
	if class := l.Classes.Now[node.RuntimeClass]; class != nil && class.Labels == nil {
		l.Classes.Remove(node.RuntimeClass)
	}
}

// Moved ends what is counted as unavailable by grants: the pools are others now.
func (l *Life) Moved() {
	for _, m := range l.Machines {
		m.Base().Excuse()
	}
}

// Administers lets the administrator change something.
func (l *Life) Administers() { l.sim.Administrator().Act(l.Now, l.Ending, l.Calm) }

// LosesLedger deletes or spoils the object, as a person may.
func (l *Life) LosesLedger() {
	present, found := l.Ledgers.Now[ledger.Name]
	switch {
	case !found:
	case l.Likely(70):
		l.Ledgers.Remove(ledger.Name)
	default:
		spoiled := present.DeepCopy()
		spoiled.Data = map[string]string{"w0": "{"}
		l.Ledgers.Put(spoiled, l.Next())
	}
}

// MeddlesWithTheClass deletes it, or makes it another one.
func (l *Life) MeddlesWithTheClass() {
	class := l.Classes.Now[node.RuntimeClass]
	switch {
	case class == nil:
		return
	case l.Likely(30):
		l.Classes.Remove(class.Name)
		return
	}
	class = class.DeepCopy()
	if l.Likely(50) {
		class.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"x": "y"}}
	} else {
		class.Labels = nil // Another owner's, as it seems.
	}
	l.Busy = true
	l.Classes.Put(class, l.Next())
}

// Any is one of the nodes.
func (l *Life) Any() Machine { return l.Machines[l.IntN(len(l.Machines))] }

// Named is the node of that name.
func (l *Life) Named(name string) Machine {
	return l.Machines[slices.IndexFunc(l.Machines, func(m Machine) bool { return m.Base().Name == name })]
}

// Division is by what the API server has, and by the leader's catalogue.
func (l *Life) Division() selection.Division {
	seen := decide.Seen{Configs: slices.Collect(maps.Values(l.Configs.Now))}
	for _, name := range Names(l.Nodes.Now) {
		seen.Nodes = append(seen.Nodes, *l.facts(l.Nodes.Now[name]))
	}
	l.Leader.reads(&seen)
	return Divide(seen, l.sim.Settings())
}

// Tells keeps what happened.
func (l *Life) Tells(format string, args ...any) {
	if l.verbose {
		l.story = append(l.story, l.Now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
	}
}

// shownLines is how many lines of a story are shown.
const shownLines = 80

// Fails ends the test with what a person needs who looks for the reason.
func (l *Life) Fails(format string, args ...any) {
	l.T.Helper()
	for _, line := range l.story[max(0, len(l.story)-shownLines):] {
		l.T.Log(strings.TrimSpace(line))
	}
	for _, m := range l.Machines {
		h := m.Base()
		l.T.Logf("%s (%s): serves %q, left %q, pods %d: %s", h.Name, h.Broken, m.Serving(), m.Left(), m.Bound(), m)
		if n := h.Object(); n != nil {
			l.T.Logf("  labels %v, unschedulable %v, %v, %v", n.Labels, n.Spec.Unschedulable, n.Annotations, n.Status.Conditions)
		}
	}
	for _, name := range Names(l.Configs.Now) {
		kc := l.Configs.Now[name]
		l.T.Logf("%s: deleted %v, finalizers %v, %+v, %+v", name, kc.DeletionTimestamp, kc.Finalizers, kc.Spec, kc.Status)
	}
	require.FailNowf(l.T, "simulation", "seed %d (replay: SEEDS=1 FIRST_SEED=%d): "+format, append([]any{l.seed, l.seed}, args...)...)
}
