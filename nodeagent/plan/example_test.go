// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// A new node gets its first intent: the plan is what is known to be left to do.
func ExampleFor() {
	intent := node.Intent{State: node.StateInstalled, Payload: "registry.example.com/kata@sha256:" + repeat("a")}.Identify("node-uid")
	p := plan.For(plan.Facts{
		Intent:  plan.Intent{Wanted: &intent, Shown: true},
		Runtime: plan.Runtime{Active: true, Invocation: "c1"},
		Slots:   plan.Slots{Current: plan.Pending, Proof: plan.Pending},
	})
	fmt.Println(p.Phase)
	for _, step := range p.Steps() {
		fmt.Println(step.Kind)
	}
	// Output:
	// Installing
	// keep intent
	// pull payload
	// mount payload
	// verify payload
	// configure handlers
	// write drop-in
	// point proof
	// prove payload
	// record payload
	// point current
}
