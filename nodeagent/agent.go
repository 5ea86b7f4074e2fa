// SPDX-License-Identifier: Apache-2.0

// Package nodeagent is the story of a node: intent, facts, plan, report, step, and again until nothing is left to do.
// It keeps no progress of its own: any pass may be the first one after a crash.
package nodeagent

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// Looker observes.
type Looker interface {
	Look(ctx context.Context, told cluster.Told) (plan.Facts, error)
}

// Stepper carries out steps.
type Stepper interface {
	Run(ctx context.Context, s plan.Step, f plan.Facts) error
}

// Agent works on one node.
type Agent struct {
	API     cluster.API
	Looker  Looker
	Stepper Stepper
	Log     logrus.FieldLogger
	// Say is given the sentence that systemctl status shows; the shim of a node whose payload is pending shows it, too.
	Say func(sentence string, pending bool)
	Now func() time.Time

	// Prepare is carried out once, before the first pass.
	Prepare func() error

	attempts attempts
	publish  *publisher
	live     liveness
	// follows is the id of the intent that the last look found, on the Node or on disk.
	follows atomic.Value
}

// Pass is one turn of the story. It returns when to take the next one at the latest.
func (a *Agent) Pass(ctx context.Context) time.Duration {
	leave := a.live.enter("observing the host", observing, a.Now())
	facts, err := a.Looker.Look(ctx, a.API.Told())
	leave()
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		a.tellBlind(ctx, err)
		return blindRetry
	}
	if facts.Intent.Wanted != nil {
		a.follows.Store(facts.Intent.Wanted.ID)
	}
	p := plan.For(facts)
	if a.attempts == nil {
		a.attempts = attempts{}
	}
	a.attempts.forget(p)
	a.tell(ctx, facts, p)
	a.tidy(ctx, facts, p)
	if len(p.Lines) == 0 {
		return rest(facts, p)
	}
	return a.step(ctx, facts, p)
}

// How soon the agent looks again by itself. Events bring most looks sooner.
const (
	// blindRetry is for a host that could not be observed.
	blindRetry = 5 * time.Second
	// waitingLook is for things that send no event: a process that ends, a CRI-O that starts.
	waitingLook = 2 * time.Second
	// restingLook notices what other hands did.
	restingLook = time.Minute
)

func rest(f plan.Facts, p plan.Plan) time.Duration {
	if p.Wait != "" || p.Problem != nil || len(p.Tidy) > 0 || len(f.Slots.Held()) > 0 {
		return waitingLook
	}
	return restingLook
}

// tell says where the node stands, before the step that may take long.
func (a *Agent) tell(ctx context.Context, f plan.Facts, p plan.Plan) {
	r := report.Make(f, p, a.attempts.failure(p), a.API.Reported(), a.Now())
	sentence := report.Sentence(r, p)
	a.Say(sentence, r.Payload == "" && f.Intent.Wanted != nil && f.Intent.Wanted.State == node.StateInstalled)
	a.report(ctx, r, sentence)
}

// tellBlind leaves everything that was said of the node as it is, and adds why nothing newer can be said.
func (a *Agent) tellBlind(ctx context.Context, problem error) {
	a.Log.WithError(problem).Errorf("Nothing is changed before the host can be observed")
	a.Say(problem.Error(), false)
	if before := a.API.Reported(); before.Version != 0 {
		a.report(ctx, report.Blind(before, problem, a.Now()), problem.Error())
	}
}

func (a *Agent) report(ctx context.Context, r node.Report, sentence string) {
	defer a.live.enter("writing the report", publishing, a.Now())()
	a.reports().offer(ctx, message{r, report.MakeCondition(r, node.Sentence(sentence))})
}

// reports is made by the first of Run and Pass.
func (a *Agent) reports() *publisher {
	if a.publish == nil {
		a.publish = newPublisher(a.API, a.Log, a.Now)
	}
	return a.publish
}

// Progressed tells the agent how far a long step has come. A text that did not change is no progress.
func (a *Agent) Progressed(text string) { a.live.progress(text, a.Now()) }

// step carries out the first step of the first line whose step did not fail a moment ago. It returns when
// the next one may be tried.
func (a *Agent) step(ctx context.Context, f plan.Facts, p plan.Plan) time.Duration {
	soonest := lastRetry
	for _, s := range p.Next() {
		if wait := a.attempts.wait(s, a.Now()); wait > 0 {
			soonest = min(soonest, wait, restingLook)
			continue
		}
		err := a.run(ctx, s, f)
		if ctx.Err() != nil {
			return 0
		}
		return min(soonest, a.attempts.note(s, err, a.Now()))
	}
	return soonest
}

// tidy carries out steps that nothing waits for. What does not work now is tried again later.
func (a *Agent) tidy(ctx context.Context, f plan.Facts, p plan.Plan) {
	for _, s := range p.Tidy {
		if a.attempts.wait(s, a.Now()) == 0 {
			a.attempts.note(s, a.run(ctx, s, f), a.Now())
		}
	}
}

func (a *Agent) run(ctx context.Context, s plan.Step, f plan.Facts) error {
	log := a.Log.WithField("step", string(s.Kind)).WithField("payload", s.Payload)
	if f.Intent.Wanted != nil {
		log = log.WithField("intent", f.Intent.Wanted.ID)
	}
	log.Infof("Started: %s", s)
	begun := a.Now()
	defer a.live.enter(s.String(), patience(s.Kind), begun)()
	if err := a.Stepper.Run(ctx, s, f); err != nil {
		log.WithError(err).Errorf("Failed: %s", s)
		return err
	}
	log.Infof("Finished: %s in %s", s, a.Now().Sub(begun).Round(time.Millisecond))
	return nil
}
