// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/selection"
)

// fetch chooses the members whose intent gets another image to fetch ahead of time, or none any
// more. It is for a pool in which no member moves or waits for its turn, and at most maxParallel
// members fetch at once. One that has not fetched for too long holds no place.
func (pace *Pace) fetch(p selection.Pool, limits Limits, now time.Time) {
	room := max(p.Config.MaxParallel, 1)
	begun := newWave(room, now)
	for _, m := range p.Members {
		if m.Fetching() {
			is, until := expired(m.Since, limits.Progress, now, excused)
			pace.wake(until)
			room -= count(is == moving)
			begun.pulls(m.Since)
		}
	}
	for _, m := range p.Members {
		if room > 0 && m.Carries() && m.Settled() && m.SameBoot() && m.Obstacle() == "" && m.Intent.Prefetch != selection.Ahead(p.Config, m.Node) && begun.admits() {
			pace.fetches[m.Name] = true
			room--
		}
	}
	pace.wake(begun.next())
}

// withPrefetch leaves the time of issue as it is: the intent was answered, and its id does not
// change.
func withPrefetch(intent node.Intent, image string) *node.Intent {
	intent.Prefetch = image
	return &intent
}
