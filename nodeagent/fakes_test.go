// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// world stands for everything around an agent: API server, host and clock.
type world struct {
	mu     sync.Mutex
	shown  cluster.State
	facts  plan.Facts
	blind  error
	refuse error
	now    time.Time
	// slow is how long the API server takes to answer.
	slow time.Duration

	reports []node.Report
	said    []saying
	hung    []string
	renewed []error
	steps   []plan.Step
	events  []string
	// published counts the tries to write a report.
	published int
	// undo is what another hand does after the next look.
	undo func()
	// do carries a step out; without it steps succeed and change nothing.
	do func(ctx context.Context, s plan.Step) error
}

type saying struct {
	sentence string
	pending  bool
}

func (w *world) State() cluster.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown
}

// tell replaces the intent on the Node.
func (w *world) tell(intent string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown.Intent = intent
}

func (w *world) Reported() node.Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.reports) == 0 {
		return node.Report{}
	}
	return w.reports[len(w.reports)-1]
}

// written counts the reports that the API server took.
func (w *world) written() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.reports)
}

func (w *world) happened(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
}

func (w *world) Publish(ctx context.Context, r node.Report, _ cluster.Condition, _ time.Time) error {
	if w.slow > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(w.slow):
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, "report")
	w.published++
	if w.refuse == nil {
		w.reports = append(w.reports, r)
	}
	return w.refuse
}

func (w *world) Look(context.Context, cluster.State) (plan.Facts, error) {
	w.happened("look")
	facts := w.facts
	if w.undo != nil {
		w.undo()
		w.undo = nil
	}
	return facts, w.blind
}

func (w *world) Run(ctx context.Context, s plan.Step, _ plan.Facts) error {
	w.happened(string(s.Kind))
	w.steps = append(w.steps, s)
	if w.do == nil {
		return nil
	}
	return w.do(ctx, s)
}

func (w *world) agent(t *testing.T) *nodeagent.Agent {
	t.Helper()
	log := logrus.New()
	log.SetOutput(t.Output())
	return &nodeagent.Agent{
		API: w, Looker: w, Stepper: w, Log: log, Self: host.Identity{BootID: "b1", Architecture: "amd64"},
		Say:   func(sentence string, pending bool) { w.said = append(w.said, saying{sentence, pending}) },
		Renew: func(why error) { w.renewed = append(w.renewed, why) },
		Hung:  func(sentence string) { w.hung = append(w.hung, sentence) },
		Now:   func() time.Time { return w.now },
	}
}

const payload = "r.example/p@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// wanting is a node on which nothing is installed yet, with a running CRI-O.
func wanting(state node.State) *world {
	i := node.Intent{State: state}
	if state == node.StateInstalled {
		i.Payload = payload
	}
	i = i.Identify("node")
	return &world{
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		facts: plan.Facts{
			Host:    plan.Host{BootID: "b1"},
			Intent:  plan.Intent{Wanted: &i, Kept: true, Shown: true, ID: i.ID},
			Cluster: plan.Cluster{PodsKnown: true},
			Runtime: plan.Runtime{Active: true, Invocation: "c1", Answers: true},
			Slots:   plan.Slots{Current: plan.Pending, Proof: plan.Pending},
		},
	}
}

// serves is a node that serves what is wanted, and has nothing to do.
func serves() *world {
	w := wanting(node.StateInstalled)
	id := plan.SlotID("", "", "")
	w.facts.Slots.Current, w.facts.Slots.Proof = id, id
	w.facts.Slots.All = []plan.Slot{{
		ID: id, Origin: record.Origin{Payload: payload}, Mounted: true, Verified: &record.Verified{HandlerType: "vm"}, Configured: true, Proved: "c1",
	}}
	w.facts.Store.Served = &record.Served{Payload: payload, Slot: id}
	w.facts.Runtime.DropIn = plan.DropIn{Exists: true, Right: true}
	return w
}
