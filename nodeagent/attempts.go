// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// attempts remembers the last step's outcome, for the report and for the pace of retries. Losing it costs one early retry.
type attempts struct {
	last     plan.Step
	err      error
	failures int
	next     time.Time
}

// Retries begin quickly, because most failures at a node's start pass, and end slowly, because a registry serves many nodes.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// forget drops an outcome that the plan has left behind: nothing remains to be done, or other work is wanted. The same work may come again much later.
func (a *attempts) forget(p plan.Plan) {
	ahead := slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == a.last.Kind })
	if !ahead {
		*a = attempts{}
	}
}

func (a *attempts) failure() *report.Failure {
	if a.err == nil {
		return nil
	}
	return &report.Failure{Step: a.last.Kind, Err: a.err}
}

// wait returns how long a step must still wait after its last failure.
func (a *attempts) wait(s plan.Step, now time.Time) time.Duration {
	if a.err == nil || s != a.last {
		return 0
	}
	return a.next.Sub(now)
}

// note records an outcome and returns when to look again. A step that succeeds twice in a row has no effect on what is observed, which is a failure too.
func (a *attempts) note(s plan.Step, err error, now time.Time) time.Duration {
	if err == nil && a.err == nil && s == a.last {
		err = fmt.Errorf("%s: done, yet it is still to do", s)
	}
	if err == nil {
		a.passed(s)
		return 0
	}
	if s != a.last {
		a.failures = 0
	}
	a.last, a.err, a.failures = s, err, a.failures+1
	delay := min(firstRetry<<min(a.failures-1, 16), lastRetry)
	delay = delay/2 + rand.N(delay/2+1) //nolint:gosec // spreads retries, guards nothing
	a.next = now.Add(delay)
	return delay
}

// passed keeps another step's failure in the report until that step succeeds: a damaged payload is named while it is pulled again.
func (a *attempts) passed(s plan.Step) {
	if a.err != nil && s.Kind != a.last.Kind {
		return
	}
	*a = attempts{last: s}
}
