// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"container/heap"
	"time"
)

// pings has the entries that a pool counts and that are to be pinged some time, the earliest first.
// An entry that is not counted there any more, or that is due at another time, leaves its place
// behind, where it does no harm until it is removed. Its zero value is empty.
type pings struct {
	queue queue
	// sweepAt is for how many places those that were left behind are removed.
	sweepAt int
}

// ping is the place of an entry.
type ping struct {
	at   time.Time
	of   *entry
	pool int
}

// counts is true unless the place was left behind.
func (p ping) counts() bool { return p.of.counted == p.pool && p.of.due.Equal(p.at) }

func (p *pings) add(e *entry) {
	if e.due.IsZero() {
		return
	}
	if len(p.queue) >= p.sweepAt {
		p.sweep()
	}
	heap.Push(&p.queue, ping{e.due, e, e.counted})
}

// leastSweep is how many places there may be before those that were left behind are removed.
const leastSweep = 64

// sweep removes the places that were left behind, so that nodes which change often cost no memory.
func (p *pings) sweep() {
	kept := p.queue[:0]
	for _, place := range p.queue {
		if place.counts() {
			kept = append(kept, place)
		}
	}
	clear(p.queue[len(kept):])
	p.queue, p.sweepAt = kept, max(leastSweep, 2*len(kept))
	heap.Init(&p.queue)
}

// due removes and returns the entries whose time has come.
func (p *pings) due(now time.Time) []*entry {
	var out []*entry
	for at := p.next(); !at.IsZero() && !now.Before(at); at = p.next() {
		out = append(out, p.pop())
	}
	return out
}

// next is when the first entry is due, zero for never.
func (p *pings) next() time.Time {
	for len(p.queue) > 0 && !p.queue[0].counts() {
		p.pop()
	}
	if len(p.queue) == 0 {
		return time.Time{}
	}
	return p.queue[0].at
}

func (p *pings) pop() *entry {
	first, _ := heap.Pop(&p.queue).(ping) //nolint:errcheck // it has nothing else
	return first.of
}

// queue implements heap.Interface.
type queue []ping

func (q queue) Len() int           { return len(q) }
func (q queue) Less(a, b int) bool { return q[a].at.Before(q[b].at) }
func (q queue) Swap(a, b int)      { q[a], q[b] = q[b], q[a] }

// Push is called by package heap.
func (q *queue) Push(place any) {
	if p, ok := place.(ping); ok {
		*q = append(*q, p)
	}
}

// Pop is called by package heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	out := (*q)[last]
	(*q)[last] = ping{}
	*q = (*q)[:last]
	return out
}
