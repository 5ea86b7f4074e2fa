// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kata-node/kata-node/controller/rollout"
)

// passTime is how long a pass changes nodes, so that none acts on what was seen long ago. The next
// one begins at once where there is more to do.
const passTime = 2 * time.Second

// atOnce is how many Nodes are written at the same time. An API server that takes 200 ms for an
// answer takes 40 writes a second then, and not 5: the rate limit is what bounds a rollout.
const atOnce = 8

// change writes to nodes, grants only where they are entered. No two changes are of the same Node,
// and each write names the version that was seen, so that they may be made in any order: what must
// not wait is sent first. When change returns, no write is on its way.
func (c *Controller) change(ctx context.Context, changes []rollout.Change, entered bool) error {
	changes = inOrder(changes, c.refused)
	end, errs := c.settings.Now().Add(passTime), make([]error, len(changes))
	var writes errgroup.Group
	writes.SetLimit(atOnce)
	for i, change := range changes {
		if change.Entered && !entered {
			continue
		}
		if i > 0 && c.settings.Now().After(end) {
			c.queue.Add(key)
			break
		}
		writes.Go(func() error {
			errs[i] = c.write(ctx, change)
			return nil
		})
		c.settings.Health.Steps(c.settings.Now()) // Where all places were taken, a write has ended.
	}
	err := writes.Wait()
	c.settings.Health.Steps(c.settings.Now())
	c.refused = map[string]bool{}
	for i, change := range changes {
		if errs[i] != nil {
			c.refused[change.Node.Name] = true
		}
	}
	return errors.Join(append(errs, err)...)
}

// write makes one change, and takes its result into the view.
func (c *Controller) write(ctx context.Context, change rollout.Change) error {
	updated, err := c.writer.Node(ctx, change)
	c.metrics.Wrote(err)
	if err == nil {
		c.caches.wrote(updated)
	}
	return err
}

// inOrder puts first what must not wait, and last the nodes whose write was refused in the pass
// before, so that they keep no other one waiting.
func inOrder(changes []rollout.Change, refused map[string]bool) []rollout.Change {
	rank := func(c rollout.Change) int {
		switch {
		case refused[c.Node.Name]:
			return 5
		case c.Label == rollout.LabelCleared:
			return 0
		case c.Entered:
			return 1
		case c.Label == rollout.LabelSet:
			return 2
		case c.Event != "":
			return 3
		default:
			return 4
		}
	}
	slices.SortStableFunc(changes, func(a, b rollout.Change) int { return cmp.Compare(rank(a), rank(b)) })
	return changes
}
