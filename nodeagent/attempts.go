// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kata-node/kata-node/nodeagent/damage"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// attempts remembers what became of steps that are still planned, for the report and for the pace
// of retries. Losing it costs early retries.
type attempts map[plan.Step]attempt

// attempt is the last try of a step. A step that succeeded and is still planned has err nil.
type attempt struct {
	err      error
	failures int
	noted    time.Time
	next     time.Time
	// found is how a payload was damaged, and again how often it was found so in a row.
	found string
	again int
	// useless is that the step succeeded, and was still to do.
	useless bool
}

// forget drops what the plan has left behind. A failure stays while the same work is still ahead: a
// damaged payload is named while it is pulled again.
func (a attempts) forget(p plan.Plan) {
	planned := append(p.Steps(), p.Tidy...)
	for tried, attempt := range a {
		ahead := slices.ContainsFunc(planned, func(s plan.Step) bool {
			return s == tried || attempt.err != nil && sameWork(s, tried)
		})
		if !ahead {
			delete(a, tried)
		}
	}
}

// sameWork tells that two steps do the same: the slot of a payload is not known while the payload
// is not in the store.
func sameWork(a, b plan.Step) bool {
	return a.Kind == b.Kind && a.Payload == b.Payload && a.Object == b.Object && (a.Slot == b.Slot || a.Payload != "")
}

// tidyPatience is how many times in a row a tidy step may fail before people hear of it.
const tidyPatience = 3

// failure returns the failure of the step that comes first in the plan. One of a tidy step counts
// when it persists and nothing else is wrong. What is done ahead of time is for the journal
// alone: the node serves as it should.
func (a attempts) failure(p plan.Plan) *report.Failure {
	for _, s := range p.Steps() {
		if s.Kind == plan.Prefetch || s.Kind == plan.BuildAhead {
			continue
		}
		if last := a.last(s); last != nil {
			return &report.Failure{Step: s.Kind, Err: last}
		}
	}
	for _, s := range p.Tidy {
		if a[s].failures >= tidyPatience {
			return &report.Failure{Step: s.Kind, Err: a[s].err}
		}
	}
	return nil
}

// last returns the failure of this step, else the newest one of the same work.
func (a attempts) last(s plan.Step) error {
	if a[s].err != nil {
		return a[s].err
	}
	var newest attempt
	for tried, attempt := range a {
		if attempt.err == nil || !sameWork(s, tried) {
			continue
		}
		if newest.err == nil || attempt.noted.After(newest.noted) {
			newest = attempt
		}
	}
	return newest.err
}

// wait returns how long a step must still wait after its last failure. It waits no longer once the
// host's own settings have changed that decide about a pull.
func (a attempts) wait(s plan.Step, now time.Time) time.Duration {
	fault, pulling := errors.AsType[*host.Fault](a[s].err)
	if a[s].err == nil || pulling && fault.Changed != nil && fault.Changed() {
		return 0
	}
	return max(0, a[s].next.Sub(now))
}

// note records an outcome and returns when to look again. A step that succeeds and is planned again
// at once has no effect on what is observed, which is a failure too. spread turns the longest delay
// into the one of this node.
func (a attempts) note(s plan.Step, err error, now time.Time, spread func(time.Duration) time.Duration) time.Duration {
	before, repeated := a[s]
	useless := err == nil && repeated && (before.err == nil || before.useless)
	if useless {
		err = fmt.Errorf("%s: done, yet it is still to do", s)
	}
	if err == nil {
		a[s] = attempt{}
		return 0
	}
	this := attempt{err: err, failures: before.failures + 1, noted: now, useless: useless}
	delay := spread(retryIn(err, this.failures))
	if s.Kind == plan.Verify && damage.Differs(err) {
		this.found = err.Error()
		if this.found == before.found {
			this.again = before.again + 1
			this.err = fmt.Errorf("the same after another pull, so the payload itself is wrong and is tried again within %s: %w", wrongRetry, err)
			delay = spread(wrongBackoff(this.again))
		}
	}
	if s.Kind == plan.Drain {
		delay = min(delay, drainRetry)
	}
	this.next = now.Add(delay)
	a[s] = this
	// The files that a pull depends on send no event when they change.
	if fault, pulling := errors.AsType[*host.Fault](err); pulling && fault.Changed != nil {
		return min(delay, restingLook)
	}
	return delay
}

// retryIn returns how long to wait at most after so many failures in a row. A registry that limits
// requests has been asked several times by then, as late as it wanted: see host/images.
func retryIn(err error, failures int) time.Duration {
	fault, pulling := errors.AsType[*host.Fault](err)
	switch {
	case lasts(err), pulling && fault.Kind == host.Lasting:
		return wrongBackoff(failures)
	case pulling && fault.Kind == host.Throttled:
		return lastRetry
	}
	return backoff(failures)
}

// lasts tells of a failure that no time mends.
func lasts(err error) bool {
	unfit, refused := errors.AsType[*host.Unfit](err)
	said, ok := errors.AsType[*host.OstreeError](err)
	return refused && !unfit.Host || ok && said.Lasting()
}
