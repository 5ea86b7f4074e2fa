// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"fmt"
	"slices"
	"time"

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
	next     time.Time
	// useless is that the step succeeded, and was still to do.
	useless bool
}

// forget drops what the plan has left behind. A failure stays while the same kind of step is still
// ahead for the same payload: a damaged payload is named while it is pulled again.
func (a attempts) forget(p plan.Plan) {
	planned := append(p.Steps(), p.Tidy...)
	for tried, attempt := range a {
		ahead := slices.ContainsFunc(planned, func(s plan.Step) bool {
			again := s.Kind == tried.Kind && s.Payload == tried.Payload && s.Object == tried.Object
			return s == tried || attempt.err != nil && again
		})
		if !ahead {
			delete(a, tried)
		}
	}
}

// failure returns the failure of the step that comes first in the plan.
func (a attempts) failure(p plan.Plan) *report.Failure {
	for _, s := range p.Steps() {
		for tried, attempt := range a {
			if attempt.err != nil && tried.Kind == s.Kind && tried.Payload == s.Payload {
				return &report.Failure{Step: tried.Kind, Err: attempt.err}
			}
		}
	}
	return nil
}

// wait returns how long a step must still wait after its last failure.
func (a attempts) wait(s plan.Step, now time.Time) time.Duration {
	if a[s].err == nil {
		return 0
	}
	return max(0, a[s].next.Sub(now))
}

// note records an outcome and returns when to look again. A step that succeeds and is planned again
// at once has no effect on what is observed, which is a failure too.
func (a attempts) note(s plan.Step, err error, now time.Time) time.Duration {
	before, repeated := a[s]
	useless := err == nil && repeated && (before.err == nil || before.useless)
	if useless {
		err = fmt.Errorf("%s: done, yet it is still to do", s)
	}
	if err == nil {
		a[s] = attempt{}
		return 0
	}
	failures := before.failures + 1
	delay := backoff(failures)
	a[s] = attempt{err: err, failures: failures, next: now.Add(delay), useless: useless}
	return delay
}
