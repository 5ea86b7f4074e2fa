// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"reflect"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/facts"
)

// Member is a node and the intent that it should have. It is decided here, once: whatever is
// started, judged or compared later is about this intent.
type Member struct {
	facts.Node

	// Wanted has neither a time of issue, nor grants, nor a ping, nor what is fetched ahead of
	// time. It is nil where nothing is wanted: no payload is known, or there is nothing to remove.
	Wanted *node.Intent

	carries bool
}

func newMember(n facts.Node, wanted *node.Intent) Member {
	return Member{n, wanted, wanted != nil && n.Intent != nil && n.Intent.ID == wanted.ID && n.Content() == wanted.ID}
}

// Carries is true when the node has the wanted intent, whatever its grants. The id alone is not
// believed: content that was edited gets another one.
func (m Member) Carries() bool { return m.carries }

// Resumes is true when the agent already works on the wanted intent, whatever became of the
// annotation: giving it back starts nothing.
func (m Member) Resumes() bool {
	return m.Wanted != nil && m.Report != nil && m.Report.IntentID == m.Wanted.ID
}

// Install is the intent for a node that a KataConfig owns, nil when no payload is known, for its
// version or at all. What is fetched ahead of time is no part of it.
func Install(c facts.Config, n facts.Node) *node.Intent {
	payload := c.Payload
	if c.Catalogued {
		payload = n.Release.Payload
	}
	if payload == "" {
		return nil
	}
	return identified(node.Intent{Owner: ownerOf(c), State: node.StateInstalled, Payload: payload, HostPackages: c.HostPackages, Handlers: c.Handlers}, n)
}

// Remove is the intent for a node that a KataConfig owned.
func Remove(c facts.Config, n facts.Node) *node.Intent { return absent(ownerOf(c), n) }

func ownerOf(c facts.Config) node.Owner { return node.Owner{Name: c.Name, UID: c.UID} }

func absent(owner node.Owner, n facts.Node) *node.Intent {
	return identified(node.Intent{Owner: owner, State: node.StateAbsent}, n)
}

// identified gives an intent its id. Where the node has the same content already, which most nodes
// have at most times, its id is known.
func identified(wanted node.Intent, n facts.Node) *node.Intent {
	if n.Intent != nil {
		same := wanted
		same.Version, same.ID, same.Prefetch, same.Issued, same.Grants, same.Ping = n.Intent.Version, n.Intent.ID, n.Intent.Prefetch, n.Intent.Issued, n.Intent.Grants, n.Intent.Ping
		if reflect.DeepEqual(same, *n.Intent) {
			wanted.Version, wanted.ID = node.Version, n.Content()
			return &wanted
		}
	}
	wanted = wanted.Identify(n.UID)
	return &wanted
}

// clean is the intent for a node that no KataConfig owns or owned, nil where there is nothing to
// remove. A label that was left behind is reason enough to ask the agent for an Absent: only its
// answer says that no kata pod is bound, and a restarting kubelet would reject every one of them
// without the label.
func clean(n facts.Node) *node.Intent {
	switch {
	case n.Intent != nil:
		return absent(n.Intent.Owner, n)
	case n.HasIntent, n.Installation(), n.Report != nil && (n.Labelled() || len(n.FurtherLabels()) > 0):
		return absent(node.Owner{}, n)
	default:
		return nil
	}
}
