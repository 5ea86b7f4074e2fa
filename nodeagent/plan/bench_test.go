// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/kata-node/kata-node/nodeagent/plan"
)

// BenchmarkFor is what one decision costs, on a node that installs its first payload.
func BenchmarkFor(b *testing.B) {
	facts := plan.Facts{
		Intent:  plan.Intent{Wanted: install("a"), Shown: true},
		Runtime: plan.Runtime{Active: true, Invocation: "c1"},
		Slots:   plan.Slots{Current: plan.Pending, Proof: plan.Pending},
	}
	b.ReportAllocs()
	for b.Loop() {
		plan.For(facts)
	}
}
