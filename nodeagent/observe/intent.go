// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"fmt"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/record"
)

// intent prefers what the Node says. The disk's copy serves until the API server is there, and
// stays in force while the Node says nothing, unless this node's settings have changed against it.
func (o Observer) intent(shown cluster.State) (plan.Intent, error) {
	kept, err := record.LoadIntent(o.Host.Files)
	if err != nil {
		return plan.Intent{}, err
	}
	intent := plan.Intent{Wanted: kept, Kept: true}
	if shown.Problem != "" {
		intent.Problem = shown.Problem
		return intent, nil
	}
	if shown.Intent == "" {
		intent.Cleared = shown.Known
		if kept != nil {
			intent.Problem = o.refuses(kept.Payload)
			kept.Prefetch = o.ahead(kept.Prefetch)
		}
		return intent, nil
	}
	said, err := node.DecodeIntent(shown.Intent)
	if err != nil {
		intent.Problem, intent.ID = err.Error(), node.IntentID(shown.Intent)
		return intent, nil //nolint:nilerr // what is wrong with an intent is a fact, for the report
	}
	if problem := o.refuses(said.Payload); problem != "" {
		intent.Problem, intent.ID = problem, said.ID
		return intent, nil
	}
	said.Prefetch = o.ahead(said.Prefetch)
	return plan.Intent{
		Wanted: &said, Shown: true, ID: said.ID,
		Kept: kept != nil && kept.ID == said.ID, Superseded: kept != nil && kept.ID != said.ID, Stale: kept != nil && kept.Prefetch != said.Prefetch,
	}, nil
}

// ahead is what to fetch ahead of time: nothing that this node would refuse later.
func (o Observer) ahead(image string) string {
	if o.refuses(image) != "" {
		return ""
	}
	return image
}

// refuses says why this node does not run a payload, whoever asks for it.
func (o Observer) refuses(payload string) string {
	if node.PayloadAllowed(o.Self.AllowedPayloads, payload) {
		return ""
	}
	return fmt.Sprintf("payload %q is below none of this node's allowed_payloads: use one that is, or change the setting in /etc/kata-agent", payload)
}
