// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// intent prefers what the Node says. The disk's copy serves until the API server is there, and stays in
// force while the Node says nothing.
func (o Observer) intent(told Told) (plan.Intent, error) {
	kept, err := record.LoadIntent(o.Host.Files)
	if err != nil {
		return plan.Intent{}, err
	}
	intent := plan.Intent{Wanted: kept, Kept: true}
	if told.Intent == "" {
		intent.Cleared = told.Known
		return intent, nil
	}
	said, err := node.DecodeIntent(told.Intent)
	if err != nil {
		intent.Problem, intent.ID = err.Error(), node.IntentID(told.Intent)
		return intent, nil //nolint:nilerr // what is wrong with an intent is a fact, for the report
	}
	return plan.Intent{Wanted: &said, Told: true, ID: said.ID, Kept: kept != nil && kept.ID == said.ID}, nil
}
