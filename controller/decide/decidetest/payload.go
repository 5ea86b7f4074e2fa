// SPDX-License-Identifier: Apache-2.0

package decidetest

import (
	"reflect"

	"github.com/kata-node/kata-node/controller/rollout"
	"github.com/kata-node/kata-node/controller/selection"
	"github.com/kata-node/kata-node/payload/catalog"
)

// rightPayload holds because no node gets a payload that is not for what it runs.
func (c *check) rightPayload(p selection.Pool, m selection.Member, change rollout.Change) {
	if !p.Config.Catalogued {
		if change.Intent.Payload != p.Config.Payload {
			c.fails("%s gets %s, and %s names %s", m.Name, change.Intent.Payload, p.Config.Name, p.Config.Payload)
		}
		return
	}
	if c.seen.Catalog == nil {
		c.fails("%s gets a payload without a catalogue", m.Name)
		return
	}
	e, err := c.seen.Catalog.Resolve(catalog.Target(change.Node.Runs))
	if err != nil || change.Intent.Payload != e.Image {
		c.fails("%s runs %+v and gets %s: %v", m.Name, change.Node.Runs, change.Intent.Payload, err)
	}
}

// fetchesLast holds for what is fetched ahead of time: it changes nothing else, only where no
// member of the pool is at work or begins, and for no more than maxParallel at once.
func (c *check) fetchesLast(p selection.Pool) {
	fetching, begun := 0, false
	for _, m := range p.Members {
		change := c.changes[m.Name]
		if change.Event != rollout.EventPrefetch {
			fetching += c.fetches(m)
			continue
		}
		begun = true
		before, after := *m.Intent, *change.Intent
		if before.Prefetch == after.Prefetch || !m.Settled() {
			c.fails("%s is to fetch what it has: %+v", m.Name, after)
		}
		if before.Prefetch = after.Prefetch; !reflect.DeepEqual(before, after) {
			c.fails("%s gets more than something to fetch: %+v", m.Name, after)
		}
		if after.Prefetch != "" {
			fetching++
		}
	}
	if !begun {
		return
	}
	for _, m := range p.Members {
		change := c.changes[m.Name]
		if change.Intent != nil && change.Event != rollout.EventPrefetch && change.Event != rollout.EventReboot && change.Event != rollout.EventLapse && change.Event != "" || m.Carries() && c.moves(m.Node) {
			c.fails("something is fetched for %s while %s is at work", p.Config.Name, m.Name)
		}
	}
	if fetching > p.Config.MaxParallel {
		c.fails("%d nodes of %s fetch at once", fetching, p.Config.Name)
	}
}

// fetches is 1 for a node that is about to fetch something, and for no longer than a node may take.
func (c *check) fetches(m selection.Member) int {
	if m.Carries() && m.Intent.Prefetch != "" && m.Report != nil && m.Report.Prefetched == "" && c.now.Sub(m.Since) < c.settings.ProgressDeadline {
		return 1
	}
	return 0
}
