// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"context"
	"sync"
	"time"

	"github.com/kata-node/kata-node/api/node"
)

// Run takes passes until ctx ends: at once, when changed receives, and when the last pass asked for
// it. The passes run in parallel with this loop, which calls alive at every tick while the work
// makes progress: a pull of an hour is no reason to restart the agent, a read that hangs is one.
// One that began at boot with the intent on disk goes on when the Node turns out to say the same.
func (a *Agent) Run(ctx context.Context, changed <-chan struct{}, tick <-chan time.Time, alive func()) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	reports := a.reports()
	reports.parallel = true
	var publishing sync.WaitGroup
	publishing.Go(func() { reports.run(ctx) })
	defer publishing.Wait()
	var current pass
	last, connected := beginning{}, false
	for {
		select {
		case <-ctx.Done():
			current.await()
			return
		case <-tick:
			a.feed(alive)
		case <-changed:
			connected = a.reconnect(connected)
			if wanted := a.wanted(); wanted != a.follows.Load() {
				current.outdate(wanted)
			}
			current.again = true
			timer.Reset(a.soon(last))
		case <-timer.C:
			if !current.running() {
				current = a.begin(ctx)
				last = beginning{time.Now(), current.intent}
			}
		case result := <-current.done:
			wait := result.Next
			if current.again {
				wait = min(wait, a.soon(last))
			}
			current = pass{}
			timer.Reset(wait)
		}
	}
}

// reconnect sends what could not be written while the API server did not answer. It returns whether
// it answers now.
func (a *Agent) reconnect(before bool) bool {
	now := a.API.State().PodsKnown
	if now && !before {
		a.reports().retry()
	}
	return now
}

// beginning is when the last pass began, and for which intent.
type beginning struct {
	at     time.Time
	intent string
}

// soon is when an event may bring the next look. One that changes what is wanted brings it at once.
func (a *Agent) soon(last beginning) time.Duration {
	if a.wanted() != last.intent {
		return 0
	}
	return max(0, eventInterval-time.Since(last.at))
}

// pass is one turn that is under way; its zero value is none.
type pass struct {
	// intent is the id of what the Node asked for when it began; a grant that is added later
	// changes nothing about it.
	intent string
	cancel context.CancelFunc
	done   chan Result
	// again is set by a change that this pass may not have seen.
	again bool
}

func (a *Agent) begin(ctx context.Context) pass {
	ctx, cancel := context.WithCancel(ctx)
	p := pass{intent: a.wanted(), cancel: cancel, done: make(chan Result, 1)}
	go func() {
		defer cancel()
		p.done <- a.Pass(ctx)
	}()
	return p
}

// feed calls alive unless the current phase takes too long.
func (a *Agent) feed(alive func()) {
	if hung := a.live.hung(a.Now()); hung != "" {
		a.Log.Errorf("%s", hung)
		a.Hung(hung)
		return
	}
	alive()
}

// wanted tells one intent from another; one that cannot be read has no id and is distinguished by
// its text.
func (a *Agent) wanted() string {
	document := a.API.State().Intent
	if id := node.IntentID(document); id != "" {
		return id
	}
	return document
}

func (p pass) running() bool { return p.done != nil }

// stopLimit is how long a pass may take to end after systemd has asked the agent to. A step whose
// read hangs would never end. systemd kills an agent that has not ended 10 s after that
// (TimeoutStopSec=).
const stopLimit = 6 * time.Second

func (p pass) await() {
	if !p.running() {
		return
	}
	select {
	case <-p.done:
	case <-time.After(stopLimit):
	}
}

// outdate ends a pass that works for an intent which has been replaced: that pull is not wanted any
// more.
func (p pass) outdate(intent string) {
	if p.running() && p.intent != intent {
		p.cancel()
	}
}
