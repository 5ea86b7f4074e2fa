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

	"github.com/kata-node/kata-node/test/bed"
	"github.com/kata-node/kata-node/test/bed/fixture"
)

// rounds is how often each step is measured. The fastest of each counts.
const rounds = 3

// patience is how long any one thing may take.
const patience = 5 * time.Minute

// installer is a way to bring payloads to a node.
type installer interface {
	// bring gives a payload to new pods and says what that took.
	bring(b *testing.B, p payload) cost
	// restore is what is needed at a boot until new pods have the payload again.
	restore(b *testing.B) cost
	// disk is what all of it occupies, in bytes.
	disk(b *testing.B) float64
	// remove takes everything away.
	remove(b *testing.B)
}

// cost is what one step took.
type cost struct {
	took          time.Duration
	wire, written float64 // bytes
	restarted     bool    // CRI-O
}

// step is one comparison, with what the agent has to be better by. Times are printed and not
// checked: they depend on what else the machine does.
type step struct {
	name          string
	do            func(*testing.B, installer) cost
	wire, written float64
}

func steps(p payloads) []step {
	bring := func(p payload) func(*testing.B, installer) cost {
		return func(b *testing.B, i installer) cost { b.Helper(); return i.bring(b, p) }
	}
	return []step{
		{"install", bring(p.first), 0, 1.9}, // Twice the files, and the agent's store has records.
		{"update-top", bring(p.top), 4, 10},
		{"rollback", bring(p.first), 0, 10},
		{"update-lowest", bring(p.lowest), 4, 10},
		{"boot", func(b *testing.B, i installer) cost { b.Helper(); return i.restore(b) }, 0, 10},
	}
}

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
	all := []installer{newAgent(b, c), newCopier(b, c)}
	for b.Loop() {
		table := table{}
		for range rounds {
			table.add(b, steps(published), all)
		}
		table.report(b, steps(published))
	}
}

// row is the best of one step for the agent and for the baseline.
type row struct{ agent, baseline cost }

// table has a row for each step, and the disk used after the first step and before the last one.
type table struct {
	rows map[string]row
	disk [2][2]float64
}

func (t *table) add(b *testing.B, all []step, installers []installer) {
	b.Helper()
	if t.rows == nil {
		t.rows = map[string]row{}
	}
	for i, s := range all {
		next := row{s.do(b, installers[0]), s.do(b, installers[1])}
		if last, ok := t.rows[s.name]; ok {
			next.agent.took, next.baseline.took = min(last.agent.took, next.agent.took), min(last.baseline.took, next.baseline.took)
		}
		t.rows[s.name] = next
		if i == 0 || i == len(all)-2 {
			t.disk[min(i, 1)] = [2]float64{installers[0].disk(b), installers[1].disk(b)}
		}
	}
	for _, i := range installers {
		i.remove(b)
	}
}

// report prints the table and checks what does not depend on what else the machine does.
func (t *table) report(b *testing.B, all []step) {
	b.Helper()
	var lines strings.Builder
	for _, s := range all {
		r := t.rows[s.name]
		faster := r.baseline.took.Seconds() / r.agent.took.Seconds()
		b.ReportMetric(faster, s.name+"-faster")
		fmt.Fprintf(&lines, "| %s | %v | %.1f | %.1f MB | %.1f MB | %.1f MB | %.1f MB | %t | %t |\n", s.name,
			r.agent.took.Round(time.Millisecond), faster, r.agent.wire/1e6, r.baseline.wire/1e6,
			r.agent.written/1e6, r.baseline.written/1e6, r.agent.restarted, r.baseline.restarted)
	}
	b.Logf("\n| step | agent | times faster | fetched | by the baseline | written | by the baseline | CRI-O restarted | by the baseline |\n%s"+
		"disk after the first installation %.0f and %.0f MB, after the updates %.0f and %.0f MB", lines.String(),
		t.disk[0][0]/1e6, t.disk[0][1]/1e6, t.disk[1][0]/1e6, t.disk[1][1]/1e6)
	for _, s := range all {
		r := t.rows[s.name]
		require.LessOrEqual(b, s.wire*r.agent.wire, r.baseline.wire, "%s: bytes fetched", s.name)
		require.LessOrEqual(b, s.written*r.agent.written, r.baseline.written, "%s: bytes written", s.name)
	}
	require.LessOrEqual(b, 1.9*t.disk[0][0], t.disk[0][1], "disk")
}
