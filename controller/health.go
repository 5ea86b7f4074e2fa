// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Limits after which a leader counts as stuck.
const (
	syncLimit = 2 * time.Minute
	passLimit = 5 * time.Minute
)

// Health is what this instance is known to be doing. It has no clock: each method takes the time.
// An idle leader and a standby wait for nothing, so they are healthy. Its zero value is a standby.
type Health struct {
	mu              sync.Mutex
	leading, synced bool
	// since is when the step that is being waited for began; zero while there is none.
	since time.Time
}

// Leads says that this instance leads from now on, and begins to fill its caches.
func (h *Health) Leads(now time.Time) { h.set(false, now) }

// Synced says that the caches have everything.
func (h *Health) Synced() { h.set(true, time.Time{}) }

// Steps says that a pass has begun, or has made a write: a pass over a large cluster takes long,
// and is not stuck while it writes.
func (h *Health) Steps(now time.Time) { h.set(true, now) }

// Passed says that a pass has ended.
func (h *Health) Passed() { h.set(true, time.Time{}) }

func (h *Health) set(synced bool, since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leading, h.synced, h.since = true, synced, since
}

// Alive returns why this process should be started again.
func (h *Health) Alive(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	waits := now.Sub(h.since)
	switch {
	case !h.leading || h.since.IsZero():
		return nil
	case !h.synced && waits > syncLimit:
		return fmt.Errorf("the caches have not been filled within %s of leading", syncLimit)
	case h.synced && waits > passLimit:
		return fmt.Errorf("a pass has neither written nor ended for %s", passLimit)
	default:
		return nil
	}
}

// Ready returns why this instance is neither a standby nor a leader that knows the cluster.
func (h *Health) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leading && !h.synced {
		return errors.New("the caches are not filled yet")
	}
	return nil
}
