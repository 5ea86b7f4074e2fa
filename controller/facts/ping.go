// SPDX-License-Identifier: Apache-2.0

package facts

import (
	"hash/fnv"
	"time"
)

// Pinged is true while a ping is not answered, by an agent that has answered earlier ones. One that
// has answered none may be of a version that knows no pings.
func (n Node) Pinged() bool {
	return n.Answered() && !n.Report.Ping.IsZero() && !n.Report.Ping.Equal(n.Intent.Ping)
}

// NextPing is when the agent is to be pinged again, where interval is the longest time between two
// pings. It is zero for never: pings are off, there is no agent that follows the intent, or the
// last ping is not answered.
func (n Node) NextPing(interval time.Duration) time.Time {
	if interval <= 0 || !n.Answered() {
		return time.Time{}
	}
	last := n.Intent.Ping
	switch {
	case last.IsZero():
		last = n.Intent.Issued
	case !n.Report.Ping.Equal(last):
		return time.Time{}
	}
	return last.Add(spread(n.UID, interval))
}

// spread is between half of the longest and the longest, a different time for each node: nodes that
// were installed at the same time are pinged at different times.
func spread(uid string, longest time.Duration) time.Duration {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(uid)) // It never fails.
	return longest/2 + time.Duration(float64(longest/2)*float64(hash.Sum32())/(1<<32))
}
