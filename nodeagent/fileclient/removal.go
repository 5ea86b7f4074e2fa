// SPDX-License-Identifier: Apache-2.0

package fileclient

import (
	"context"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
)

// Removal wants nothing to be installed, whatever anything else says. As a controller does, it
// takes its intent away once everything is reported to be removed.
type Removal struct {
	NoDrain
	document string
	report   node.Report
}

// NewRemoval returns a removal for the whole of its process' life.
func NewRemoval() (*Removal, error) {
	document, err := node.Intent{State: node.StateAbsent}.Identify("").Encode()
	return &Removal{document: document}, err
}

// State returns the intent, or none.
func (r *Removal) State() cluster.State {
	shown := alone()
	if r.report.Phase != node.PhaseAbsent && r.report.Phase != node.PhaseIdle {
		shown.Intent = r.document
	}
	return shown
}

// Reported returns the last report.
func (r *Removal) Reported() node.Report { return r.report }

// Publish keeps the report in memory.
func (r *Removal) Publish(_ context.Context, said node.Report, _ cluster.Condition, _ time.Time) error {
	r.report = said
	return nil
}
