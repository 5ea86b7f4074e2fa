// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/selection"
)

// ping chooses the members whose agents are asked whether they are alive: an agent writes nothing
// while its node is at rest, so one that has died there would never be noticed. At most maxParallel
// members have a ping to answer, but for those that have not answered for too long.
func (pace *Pace) ping(p selection.Pool, limits Limits, now time.Time) {
	if !p.Config.Working() {
		return
	}
	pace.wake(p.NextPing)
	room := max(p.Config.MaxParallel, 1)
	for _, m := range p.Members {
		if m.Pinged() {
			is, until := expired(m.Intent.Ping, limits.Answer, now, excused)
			pace.wake(until)
			room -= count(is == moving)
		}
	}
	for _, m := range p.Members {
		switch due := m.PingDue(limits.Ping); {
		case due.IsZero() || m.Pinged():
		case now.Before(due):
			pace.wake(due)
		case room > 0:
			pace.pings[m.Name] = true
			room--
		}
	}
}

// withPing leaves the time of issue as it is: the intent was answered, and its id does not change.
func withPing(intent node.Intent, now time.Time) *node.Intent {
	intent.Ping = pingAt(now)
	return &intent
}

// pingAt is the ping of this moment.
func pingAt(now time.Time) time.Time { return now.UTC().Truncate(time.Second) }
