// SPDX-License-Identifier: Apache-2.0

// Package nodeagent is the story of a node: intent, facts, plan, report, step, and again until
// nothing is left to do. It keeps no progress of its own: any pass may be the first one after a
// crash.
package nodeagent

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// Looker observes.
type Looker interface {
	Look(ctx context.Context, shown cluster.State) (plan.Facts, error)
}

// Stepper carries out steps.
type Stepper interface {
	Run(ctx context.Context, s plan.Step, f plan.Facts) error
}

// Meter takes figures of what happens here. It returns at once and asks nothing.
type Meter interface {
	Observed(f plan.Facts, at time.Time)
	Reported(r node.Report)
	Started(s plan.Step)
	Ended(s plan.Step, err error, took time.Duration, at time.Time)
}

// unmetered is for an agent without a meter.
type unmetered struct{}

func (unmetered) Observed(plan.Facts, time.Time)                   {}
func (unmetered) Reported(node.Report)                             {}
func (unmetered) Started(plan.Step)                                {}
func (unmetered) Ended(plan.Step, error, time.Duration, time.Time) {}

func (a *Agent) meter() Meter {
	if a.Meter == nil {
		return unmetered{}
	}
	return a.Meter
}

// Agent works on one node.
type Agent struct {
	API     cluster.API
	Looker  Looker
	Stepper Stepper
	Log     logrus.FieldLogger
	// Say is given the sentence that systemctl status shows; the shim of a node whose payload is
	// pending shows it, too.
	Say func(sentence string, pending bool)
	Now func() time.Time
	// Self is for the report of a host that cannot be observed.
	Self host.Identity

	// Hung is given the sentence about a phase that takes too long. It is called in parallel with
	// a pass, which may hold anything.
	Hung func(sentence string)
	// Renew ends this process, and with it what it keeps of files that have changed since. systemd
	// starts another.
	Renew func(why error)
	// Spread chooses how long to wait before a retry from the longest delay; nil for a random one
	// of at least its half.
	Spread func(longest time.Duration) time.Duration
	// Meter takes figures; it may be nil.
	Meter Meter
	// Prune deletes what interrupted pulls left. It is called once: before the first pull, or when
	// there is nothing else to do. Pods that are bound here do not wait for it.
	Prune func() error
	// Sweep deletes what pulls left that no later one is to continue with. It is called whenever
	// the node comes to rest, when there is nothing to pull. It may be nil.
	Sweep func() error
	// Rest is called once the node has been seen at rest: at the second look in a row that found
	// the same. It may be nil.
	Rest func()

	attempts attempts
	publish  *publisher
	live     liveness
	repeats  repeats
	rests    rests
	waits    waits
	strays   waits
	// blind is since when the host cannot be observed.
	blind time.Time
	// follows is the id of the intent that the last look found, on the Node or on disk.
	follows atomic.Value
}

// Result is what one pass found and decided.
type Result struct {
	Facts    plan.Facts
	Plan     plan.Plan
	Report   node.Report
	Sentence string
	// Next is when to take the next pass at the latest.
	Next time.Duration
}

// Consider is the part of a pass that has no effects: what facts mean, as status and a dry run
// print it.
func Consider(facts plan.Facts, reported node.Report, now time.Time) Result {
	return consider(facts, plan.For(facts), nil, reported, now)
}

func consider(f plan.Facts, p plan.Plan, failure *report.Failure, reported node.Report, now time.Time) Result {
	r := report.Make(f, p, failure, reported, now)
	return Result{Facts: f, Plan: p, Report: r, Sentence: node.Sentence(report.Sentence(r, p))}
}

// Pass is one turn of the story.
func (a *Agent) Pass(ctx context.Context) Result {
	leave := a.live.enter("observing the host", observing, a.Now())
	facts, err := a.Looker.Look(ctx, a.API.State())
	leave()
	if ctx.Err() != nil {
		return Result{}
	}
	if err != nil {
		return a.tellBlind(ctx, err)
	}
	a.blind = time.Time{}
	a.meter().Observed(facts, a.Now())
	if facts.Intent.Wanted != nil {
		a.follows.Store(facts.Intent.Wanted.ID)
	}
	p := plan.For(facts)
	if a.attempts == nil {
		a.attempts, a.repeats = attempts{}, repeats{}
	}
	a.attempts.forget(p)
	p, failure := held(p, a.attempts.failure(p))
	result := a.waiting(consider(facts, p, failure, a.API.Reported(), a.Now()))
	a.tell(ctx, result)
	result.Next = a.act(ctx, result)
	return result
}

// tell says where the node stands, before the step that may take long.
func (a *Agent) tell(ctx context.Context, r Result) {
	wanted := r.Facts.Intent.Wanted
	a.Say(r.Sentence, r.Report.Payload == "" && wanted != nil && wanted.State == node.StateInstalled)
	a.report(ctx, r.Report, r.Sentence, writing(r.Plan))
}

// tellBlind leaves everything that was said of the node as it is, and adds why nothing newer can be
// said. One look that fails, as while systemd executes itself anew, is no news.
func (a *Agent) tellBlind(ctx context.Context, problem error) Result {
	a.Log.WithError(problem).Errorf("Nothing is changed before the host can be observed")
	sentence := node.Sentence(problem.Error())
	a.Say(sentence, false)
	if a.blind.IsZero() {
		a.blind = a.Now()
	}
	r := report.Blind(a.API.Reported(), a.Self, problem, a.Now())
	if a.Now().Sub(a.blind) >= blindPatience {
		a.report(ctx, r, sentence, publishPatience)
	}
	result := Result{Report: r, Sentence: sentence}
	result.Next = a.rest(result)
	return result
}

// writing is how long a pass waits for the write of its report. Steps that take no longer than the
// write are not held up by it: what they change is reported a moment later.
func writing(p plan.Plan) time.Duration {
	if len(p.Lines) > 0 && slices.Contains([]plan.Kind{plan.Keep, plan.Resume, plan.Record, plan.PointCurrent, plan.PointProof}, p.Next()[0].Kind) {
		return 0
	}
	return publishPatience
}

func (a *Agent) report(ctx context.Context, r node.Report, sentence string, wait time.Duration) {
	a.meter().Reported(r)
	defer a.live.enter("writing the report", publishing, a.Now())()
	a.reports().offer(ctx, message{r, report.MakeCondition(r, node.Sentence(sentence))}, wait)
}

// reports is made by the first of Run and Pass.
func (a *Agent) reports() *publisher {
	if a.publish == nil {
		a.publish = newPublisher(a.API, a.Log, a.Now, a.spread)
	}
	return a.publish
}

// Progressed tells the agent how far a long step has come. A text that did not change is no
// progress.
func (a *Agent) Progressed(text string) { a.live.progress(text, a.Now()) }
