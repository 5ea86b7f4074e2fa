// SPDX-License-Identifier: Apache-2.0

// Package handshake_test couples the decisions of both halves, the agent's and the controller's, on
// a small host and an API server that is a value: what neither half's own tests can see.
package handshake_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/host/files"
	"github.com/kata-node/kata-node/nodeagent/host/hosttest"
	"github.com/kata-node/kata-node/nodeagent/observe"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
	"github.com/kata-node/kata-node/nodeagent/step"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const bootID = "boot-1"

// api is what the API server has of one node.
type api struct {
	intent   *node.Intent
	labelled bool
	pods     []string
	report   node.Report
}

// coupled is the node, with the history of what the API server had: watches may be behind.
type coupled struct {
	t       *testing.T
	machine *hosttest.Machine
	self    host.Identity
	now     api
	history []api
	// ages are how many ticks each kata pod has lived.
	ages map[string]int
}

func installed(t *testing.T) *coupled {
	t.Helper()
	root := t.TempDir()
	m, err := hosttest.New(root, files.Below(root))
	require.NoError(t, err)
	payload := hosttest.Payload{Version: "1.0.0", Shim: "#!/bin/true"}
	m.Registry[payload.Reference()] = payload
	m.Handlers = []string{node.Handler, node.ProofHandler}
	c := &coupled{
		t: t, machine: m, ages: map[string]int{},
		self: host.Identity{BootID: bootID, Architecture: "amd64", Kernel: "6.12", CRIOUnit: "crio.service"},
	}
	wanted := node.Intent{State: node.StateInstalled, Payload: payload.Reference()}.Identify("node")
	c.now.intent = &wanted
	for range 30 {
		c.agent(0)
	}
	require.Equal(t, node.PhaseInstalled, c.now.report.Phase)
	c.now.labelled = true
	return c
}

// behind returns what a watch shows that is some ticks behind.
func (c *coupled) behind(ticks int) api {
	if ticks == 0 || len(c.history) == 0 {
		return c.now
	}
	return c.history[max(0, len(c.history)-ticks)]
}

// agent takes one pass.
func (c *coupled) agent(behind int) {
	c.t.Helper()
	seen := c.behind(behind)
	told := cluster.Told{Known: true, PodsKnown: true, Labelled: seen.labelled, Pods: seen.pods}
	if seen.intent != nil {
		document, err := seen.intent.Encode()
		require.NoError(c.t, err)
		told.Intent = document
	}
	f, err := observe.Observer{Host: c.machine.Host(), Self: c.self}.Look(c.t.Context(), told)
	require.NoError(c.t, err)
	p := plan.For(f)
	c.now.report = report.Make(f, p, nil, c.now.report, time.Unix(0, 0))
	if len(p.Lines) > 0 {
		runner := step.Runner{Host: c.machine.Host(), Self: c.self, Tell: func(string) {}}
		require.NoError(c.t, runner.Run(c.t.Context(), p.Next()[0], f))
	}
}

// controller acts on what it sees of a node that no KataConfig selects any more.
func (c *coupled) controller(behind int) {
	seen := c.behind(behind)
	n := facts.Node{Name: "n", UID: "node", Labels: map[string]string{}, Intent: seen.intent, HasIntent: seen.intent != nil, Report: &seen.report, Ready: true}
	if seen.labelled {
		n.Labels[node.ReadyLabel] = node.ReadyValue
	}
	for _, change := range rollout.PlanUnowned(selection.Divide(nil, []facts.Node{n}).Unowned, time.Unix(0, 0)) {
		switch {
		case change.Intent != nil:
			c.now.intent = change.Intent
		case change.ClearIntent:
			c.now.intent = nil
		}
		if change.Label == rollout.LabelCleared {
			c.now.labelled = false
		}
	}
}

// scheduler binds a kata pod wherever the label is. Pods live for some ticks.
func (c *coupled) scheduler(tick, life int) {
	if c.now.labelled {
		name := fmt.Sprintf("ns/p%d", tick)
		c.now.pods, c.ages[name] = append(slices.Clip(c.now.pods), name), 0
	}
	var alive []string
	for _, name := range c.now.pods {
		if c.ages[name]++; c.ages[name] <= life {
			alive = append(alive, name)
		}
	}
	c.now.pods = alive
}

func (c *coupled) serving() bool {
	c.t.Helper()
	target, err := c.machine.Files.Readlink(host.CurrentLink)
	require.NoError(c.t, err)
	return target != host.Target(host.Pending)
}

// A node leaves while a scheduler binds a pod at every tick at which the label is there. Whoever is
// away or behind: no pod is ever bound to a node whose Kata was taken away, and the node gets clean
// in the end.
func TestARemovalNeverMeetsABoundPodAndAlwaysEnds(t *testing.T) {
	t.Parallel()
	for _, away := range []int{0, 3, 40} {
		for behind := range 4 {
			for agentBehind := range 4 {
				for _, busy := range []int{0, 7} {
					t.Run(fmt.Sprintf("controller away %d behind %d, agent behind %d, pods from tick %d", away, behind, agentBehind, busy), func(t *testing.T) {
						t.Parallel()
						leave(t, away, behind, agentBehind, busy)
					})
				}
			}
		}
	}
}

// leave lets pods arrive until tick 100; each lives for five ticks.
func leave(t *testing.T, away, behind, agentBehind, busy int) {
	t.Helper()
	c := installed(t)
	absent := node.Intent{State: node.StateAbsent}.Identify("node")
	c.now.intent = &absent
	for tick := range 200 {
		c.agent(agentBehind)
		require.True(t, c.serving() || len(c.now.pods) == 0, "tick %d: bound %v to a node without Kata", tick, c.now.pods)
		if tick >= away {
			c.controller(behind)
		}
		if tick >= busy && tick < 100 {
			c.scheduler(tick, 5)
		} else {
			c.scheduler(tick, 0)
		}
		require.True(t, c.serving() || len(c.now.pods) == 0, "tick %d: bound %v to a node without Kata", tick, c.now.pods)
		c.history = append(c.history, c.now)
	}
	assert.Equal(t, node.PhaseIdle, c.now.report.Phase)
	assert.False(t, c.now.labelled)
	assert.Nil(t, c.now.intent)
	assert.Empty(t, c.machine.Mounts)
}
