// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"reflect"
	"sync"
	"time"

	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
)

// changes are the names of Nodes that have changed in the cache since a pass took them. Its zero
// value is empty. It is safe for concurrent use.
type changes struct {
	mu    sync.Mutex
	names map[string]bool
}

func (c *changes) note(object any) {
	name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		return // It is no object, which an informer never has.
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names == nil {
		c.names = map[string]bool{}
	}
	c.names[name] = true
}

func (c *changes) take() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.names
	c.names = nil
	return names
}

// noting notes what has changed before the handler hears of it, so that the pass that the handler
// asks for knows.
func (c *changes) noting(handler cache.ResourceEventHandler) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			c.note(object)
			handler.OnAdd(object, initial)
		},
		UpdateFunc: func(before, after any) {
			c.note(after)
			handler.OnUpdate(before, after)
		},
		DeleteFunc: func(object any) {
			c.note(object)
			handler.OnDelete(object)
		},
	}
}

// wake asks for a pass when things have settled, and at once after a change of what is wanted, of
// which there is no burst. Heartbeats, which are most of what happens to Nodes, start no pass.
func (c *Controller) wake() cache.ResourceEventHandlerFuncs {
	soon := func() { c.queue.AddAfter(key, c.settings.Settle) }
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { soon() },
		UpdateFunc: func(before, after any) {
			switch {
			case orders(before, after):
				c.queue.Add(key)
			case !heartbeat(before, after):
				soon()
			}
		},
		DeleteFunc: func(any) { soon() },
	}
}

// readChanged returns the Nodes that are not as they were in the last pass.
func (c *caches) readChanged(now time.Time) map[string]*facts.Node {
	cached := map[string]*facts.Node{}
	for name := range c.changes.take() {
		cached[name] = nil
		if object, found, err := c.nodes.GetStore().GetByKey(name); err == nil && found {
			cached[name], _ = object.(*facts.Node) //nolint:errcheck // its store has nothing else
		}
	}
	return c.view.Update(cached, now)
}

// readAll looks at every Node, and returns all of them, too.
func (c *caches) readAll(now time.Time) (changed map[string]*facts.Node, nodes []facts.Node) {
	c.changes.take()
	changed = c.view.Refresh(all[*facts.Node](c.nodes), now)
	return changed, c.view.All()
}

// auditInterval is how often a pass looks at every Node.
const auditInterval = 10 * time.Minute

// decide looks at the Nodes that have changed. Now and then it looks at all of them as well. Only a
// fault of this program makes the decisions differ: the log shows it, and all places are decided
// again.
func (c *Controller) decide(seen decide.Seen, now time.Time) decide.Decision {
	if now.Before(c.audit) {
		seen.Changed = c.caches.readChanged(now)
		return c.cluster.Decide(seen, c.settings.Settings, now)
	}
	c.audit = now.Add(auditInterval)
	seen.Changed, seen.Nodes = c.caches.readAll(now)
	byChanges, decided := c.cluster.Decide(seen, c.settings.Settings, now), decide.Decide(seen, c.settings.Settings, now)
	if !reflect.DeepEqual(byChanges, decided) {
		c.log.Errorf("what was decided by changes of Nodes differs from what all Nodes lead to, which is done")
		c.cluster, seen.Changed = decide.Cluster{}, make(map[string]*facts.Node, len(seen.Nodes))
		for i := range seen.Nodes {
			seen.Changed[seen.Nodes[i].Name] = &seen.Nodes[i]
		}
		c.cluster.Decide(seen, c.settings.Settings, now)
	}
	return decided
}
