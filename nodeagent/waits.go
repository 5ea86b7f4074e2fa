// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"errors"
	"fmt"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// longWaiting is after how long a wait for the same thing is one that a person should look at. A
// transaction of rpm-ostree whose caller died may stay for days, and nothing else names it.
const longWaiting = 30 * time.Minute

// waits is what the node waits for, since when, and when that was seen last. Losing it costs a late
// warning.
type waits struct {
	what        string
	since, seen time.Time
}

// note returns whether the wait has become a long one, and whether that is news.
func (w *waits) note(what string, now time.Time) (long, news bool) {
	if what != w.what {
		*w = waits{what: what, since: now, seen: now}
	}
	long = what != "" && now.Sub(w.since) >= longWaiting
	news = long && w.seen.Sub(w.since) < longWaiting
	w.seen = now
	return long, news
}

// waiting adds to a sentence that its wait is a long one, and warns in the journal once. A process
// that keeps an older payload is named only then: most end with their pod.
func (a *Agent) waiting(r Result) Result {
	long := a.lasts(&a.waits, r.Plan.Wait)
	if long && r.Report.Error == nil {
		r.Sentence = node.Sentence(r.Sentence + "; the wait has lasted for " + lasted())
	}
	if a.lasts(&a.strays, r.Plan.Stray) {
		r.Sentence = node.Sentence(r.Sentence + "; waiting for " + lasted() + " for " + r.Plan.Stray)
	}
	return r
}

// lasts reports whether a wait has become a long one.
func (a *Agent) lasts(w *waits, what string) bool {
	long, news := w.note(what, a.Now())
	if news {
		a.Log.Warnf("Waiting for %s for %s", lasted(), what)
	}
	return long
}

func lasted() string { return fmt.Sprintf("more than %.0f minutes", longWaiting.Minutes()) }

// held turns a step that rpm-ostree refused, because it works for another caller, into a wait: that
// is no error of this node, however often it is tried. Status does not show what holds the system
// where the other caller is ostree or bootc.
func held(p plan.Plan, failure *report.Failure) (plan.Plan, *report.Failure) {
	if failure == nil {
		return p, nil
	}
	said, ok := errors.AsType[*host.OstreeError](failure.Err)
	if !ok || said.Class != host.OstreeBusy {
		return p, failure
	}
	p.Wait = "rpm-ostree, which is at work for another caller (" + said.Error() + ")"
	return p, nil
}
