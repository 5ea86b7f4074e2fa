// SPDX-License-Identifier: Apache-2.0

package copying_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

// rounds is how often each step is measured. The fastest of each counts.
const rounds = 3

// patience is how long any one thing may take.
const patience = 5 * time.Minute

// installer is a way to bring payloads to a node.
type installer interface {
	// settle returns when nothing of an earlier step is left to do.
	settle(b *testing.B)
	// bring gives a payload to new pods and says what that took.
	bring(b *testing.B, p payload) cost
	// forget deletes what the node has of a payload that is not in use and that the node need not
	// keep, as the kubelet deletes images when it needs room.
	forget(b *testing.B, p payload)
	// restore is what is needed at a boot until new pods have the payload again.
	restore(b *testing.B) cost
	// runs says where pods run from the payload, and by which RuntimeClass.
	runs() (on *bed.Node, class string)
	// disk is what all of it occupies, in bytes.
	disk(b *testing.B) float64
	// remove takes everything away.
	remove(b *testing.B)
}

// cost is what one step took.
type cost struct {
	// took is from the order, own from when the order was on the node's own object. An order to a
	// node itself has both at once.
	took, own time.Duration
	wire      float64 // bytes
	written   disk
	restarted bool // CRI-O
	// story is what the agent logged in own: what takes how long.
	story string
}

// faster keeps the shorter times of two costs, and all else of this one.
func (c cost) faster(other cost) cost {
	if other.own < c.own {
		c.own, c.story = other.own, other.story
	}
	c.took = min(c.took, other.took)
	return c
}

// step is one comparison, with what the agent has to be better by. Times are printed and not
// checked: they depend on what else the machine does.
type step struct {
	name          string
	before        func(*testing.B, installer) // not measured
	do            func(*testing.B, installer) cost
	wire, written float64
	// disk is whether what all of it occupies is measured after this step.
	disk bool
}

func steps(p payloads) []step {
	bring := func(p payload) func(*testing.B, installer) cost {
		return func(b *testing.B, i installer) cost { b.Helper(); return i.bring(b, p) }
	}
	return []step{
		{name: "install", do: bring(p.first), written: 2, disk: true},
		{name: "update-top", do: bring(p.top), wire: 4, written: 10},
		{name: rollback, do: bring(p.first), written: 10},
		{name: lowest, do: bring(p.lowest), wire: 4, written: 10, disk: true},
		{name: rollbackPulled, before: func(b *testing.B, i installer) { b.Helper(); i.forget(b, p.first) }, do: bring(p.first), wire: 1, written: 10},
		{name: "boot", do: func(b *testing.B, i installer) cost { b.Helper(); return i.restore(b) }, written: 10},
	}
}

// A payload that was served before is named again. Its image is still in CRI-O's store, or the
// kubelet has deleted it.
const (
	rollback       = "rollback"
	rollbackPulled = "rollback-pulled"
	lowest         = "update-lowest"
)

// BenchmarkCopying does each step on two nodes in turn. One has the agent. The other one does what
// an installer that copies does, which is the baseline: CRI-O pulls an image with one gzip layer,
// the payload is copied to the host and flushed, and CRI-O is started again. That baseline proves
// and verifies nothing.
func BenchmarkCopying(b *testing.B) {
	bed.Require(b)
	ctx := b.Context()
	c, err := fixture.Start(ctx, fixture.Options{Progress: os.Stderr})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Close(context.WithoutCancel(ctx))) })
	published := publish(b, c)
	require.NoError(b, c.StartController(ctx, published.first.agents))
	makeClass(b, c)
	all := []installer{newAgent(b, c), newCopier(b, c)}
	for b.Loop() {
		table := table{}
		for round := range rounds {
			table.add(b, steps(published), all)
			if round == 0 {
				table.lost = [2]int{lost(b, c, all[0], published), lost(b, c, all[1], published)}
			}
			for _, i := range all {
				i.remove(b)
			}
		}
		table.report(b, steps(published))
	}
}

// row is the best of one step for the agent and for the baseline.
type row struct{ agent, baseline cost }

// table has a row for each step, the disk used by both after some of them, and how many pods each
// has lost in an update.
type table struct {
	rows map[string]row
	disk map[string][2]float64
	lost [2]int
}

func (t *table) add(b *testing.B, all []step, installers []installer) {
	b.Helper()
	if t.rows == nil {
		t.rows, t.disk = map[string]row{}, map[string][2]float64{}
	}
	for _, s := range all {
		next := row{s.measure(b, installers[0]), s.measure(b, installers[1])}
		if last, ok := t.rows[s.name]; ok {
			next = row{next.agent.faster(last.agent), next.baseline.faster(last.baseline)}
		}
		t.rows[s.name] = next
		if s.disk {
			t.disk[s.name] = [2]float64{installers[0].disk(b), installers[1].disk(b)}
		}
	}
}

// measure begins on a disk that has nothing to write any more.
func (s step) measure(b *testing.B, i installer) cost {
	b.Helper()
	i.settle(b)
	if s.before != nil {
		s.before(b, i)
	}
	unix.Sync()
	return s.do(b, i)
}

// report prints the table and checks what does not depend on what else the machine does.
func (t *table) report(b *testing.B, all []step) {
	b.Helper()
	var lines strings.Builder
	for _, s := range all {
		r := t.rows[s.name]
		faster, own := r.baseline.took.Seconds()/r.agent.took.Seconds(), r.baseline.own.Seconds()/r.agent.own.Seconds()
		b.ReportMetric(faster, s.name+"-faster")
		b.ReportMetric(own, s.name+"-own-faster")
		fmt.Fprintf(&lines, "| %s | %v | %.1f | %v | %.1f | %v | %.1f MB | %.1f MB | %.1f MB (%.1f) | %.1f MB (%.1f) | %t | %t |\n", s.name,
			r.agent.took.Round(time.Millisecond), faster, r.agent.own.Round(time.Millisecond), own, r.baseline.took.Round(time.Millisecond),
			r.agent.wire/1e6, r.baseline.wire/1e6, r.agent.written.written/1e6, r.agent.written.deleted/1e6, r.baseline.written.written/1e6, r.baseline.written.deleted/1e6,
			r.agent.restarted, r.baseline.restarted)
	}
	first, last := t.disk[all[0].name], t.disk[lowest]
	b.Logf("\n| step | agent | times faster | node's own part | times faster | baseline | fetched | by the baseline | written (of these, deleted before the disk had them) | by the baseline "+
		"| CRI-O restarted | by the baseline |\n%sdisk after the first installation %.0f and %.0f MB, after the updates %.0f and %.0f MB\npods lost in an update %v\n"+
		"the fastest %s, in seconds since the intent was written:\n%s", lines.String(),
		first[0]/1e6, first[1]/1e6, last[0]/1e6, last[1]/1e6, t.lost, rollbackPulled, t.rows[rollbackPulled].agent.story)
	for _, s := range all {
		r := t.rows[s.name]
		require.LessOrEqual(b, s.wire*r.agent.wire, r.baseline.wire, "%s: bytes fetched", s.name)
		require.LessOrEqual(b, s.written*r.agent.written.written, r.baseline.written.written, "%s: bytes written", s.name)
	}
	require.Zero(b, t.lost[0], "pods lost in an update")
	require.LessOrEqual(b, 1.9*first[0], first[1], "disk")
}
