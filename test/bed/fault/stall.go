// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"sync"
)

// Stall holds requests until it is released. A client that gives up meanwhile is let go, the next
// one is held again.
type Stall struct {
	reached  chan struct{}
	released chan struct{}
	first    sync.Once
	last     sync.Once
	undo     func()
}

// Stall holds matching requests from now on: nothing of them reaches the registry before Release.
func (r *Registry) Stall(match Match) *Stall {
	s := &Stall{reached: make(chan struct{}), released: make(chan struct{})}
	s.undo = r.order(&fault{match: match, stall: s})
	return s
}

// Reached is closed when the first request hangs.
func (s *Stall) Reached() <-chan struct{} { return s.reached }

// Release lets the held requests go on and holds no more. It may be called again.
func (s *Stall) Release() {
	s.last.Do(func() {
		s.undo()
		close(s.released)
	})
}

// hold returns true after Release, and false when the client is gone.
func (s *Stall) hold(ctx context.Context) bool {
	s.first.Do(func() { close(s.reached) })
	select {
	case <-s.released:
		return true
	case <-ctx.Done():
		return false
	}
}
