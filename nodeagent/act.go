// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/host"
	"github.com/kata-node/kata-node/nodeagent/plan"
)

// act takes one step of the plan, and those after it for which nothing has to be observed first.
// What nothing waits for is done when no step can be taken now or the one that was taken failed: it
// holds up no step, and a full disk is tidied although its pull fails. A removal is tidied before
// its last step: after that nothing is planned any more.
func (a *Agent) act(ctx context.Context, r Result) time.Duration {
	if r.Plan.Phase == node.PhaseRemoving {
		a.tidy(ctx, r, len(r.Plan.Tidy))
	}
	if a.makesRoom(ctx, r) {
		return 0
	}
	taken, wait := a.step(ctx, r)
	a.follow(ctx, r.Facts, taken)
	if taken != nil || ctx.Err() != nil {
		return wait
	}
	if a.prune() || a.tidy(ctx, r, 1) > 0 {
		return 0
	}
	return wait
}

// makesRoom deletes what nothing needs any more before a pull begins: no disk has to have room for
// a third payload. What cannot be deleted now holds no pull up.
func (a *Agent) makesRoom(ctx context.Context, r Result) bool {
	next := r.Plan.Next()
	due := slices.IndexFunc(next, func(s plan.Step) bool { return a.wait(s) == 0 })
	if due < 0 || !next[due].Pulls() {
		return false
	}
	r.Plan.Tidy = r.Plan.Room
	return a.tidy(ctx, r, len(r.Plan.Tidy)) > 0
}

// follow carries out what may come after a step without another look at the host. What becomes of
// it is for the next look.
func (a *Agent) follow(ctx context.Context, f plan.Facts, taken *plan.Step) {
	for taken != nil && ctx.Err() == nil {
		after, line := plan.Following(f, *taken)
		if len(line) == 0 {
			return
		}
		taken, _ = a.step(ctx, Result{Facts: after, Plan: plan.Plan{Lines: [][]plan.Step{line}}})
		f = after
	}
}

// step carries out the first step of the first line whose step did not fail a moment ago. It
// returns that step where it has succeeded, and when to look again.
func (a *Agent) step(ctx context.Context, r Result) (*plan.Step, time.Duration) {
	if len(r.Plan.Lines) == 0 {
		return nil, a.rest(r)
	}
	a.rests = rests{}
	soonest := lastRetry
	for _, s := range r.Plan.Next() {
		if wait := a.wait(s); wait > 0 {
			soonest = min(soonest, wait, restingLook)
			continue
		}
		if s.Pulls() {
			a.prune()
		}
		err := a.run(ctx, s, r.Facts)
		if ctx.Err() != nil {
			return nil, 0
		}
		wait := a.attempts.note(s, err, a.Now(), a.spread)
		soonest = min(soonest, wait)
		if wait == 0 {
			return &s, soonest
		}
		return nil, soonest
	}
	return nil, soonest
}

// rest returns when to look again where no step is to be taken.
func (a *Agent) rest(r Result) time.Duration {
	wait := a.rests.next(r)
	if a.rests.same == looksAtRest && r.Plan.Phase != "" {
		a.sweep()
		if a.Rest != nil {
			a.Rest()
		}
	}
	return wait
}

// sweep logs a failure: it is done again when the node comes to rest again.
func (a *Agent) sweep() {
	if a.Sweep == nil {
		return
	}
	defer a.live.enter("sweeping the image store", pruning, a.Now())()
	if err := a.Sweep(); err != nil {
		a.Log.WithError(err).Warnf("What interrupted pulls have left stays for now")
	}
}

// tidy carries out steps that nothing waits for until so many have succeeded. What does not work
// now is tried again later.
func (a *Agent) tidy(ctx context.Context, r Result, most int) (done int) {
	for _, s := range r.Plan.Tidy {
		if done == most || ctx.Err() != nil {
			break
		}
		if a.wait(s) > 0 {
			continue
		}
		err := a.run(ctx, s, r.Facts)
		if ctx.Err() == nil && a.attempts.note(s, err, a.Now(), a.spread) == 0 {
			done++
		}
	}
	return done
}

// prune logs a failure and continues: nothing relies on it.
func (a *Agent) prune() (done bool) {
	if a.Prune == nil {
		return false
	}
	do := a.Prune
	a.Prune = nil
	defer a.live.enter("pruning the image store", pruning, a.Now())()
	if err := do(); err != nil {
		a.Log.WithError(err).Warnf("The image store is not as it was left")
	}
	return true
}

// wait returns how long a step must wait: after a failure, or as it has succeeded many times.
func (a *Agent) wait(s plan.Step) time.Duration {
	return max(a.attempts.wait(s, a.Now()), a.repeats.wait(s, a.Now()))
}

func (a *Agent) run(ctx context.Context, s plan.Step, f plan.Facts) error {
	log := a.Log.WithField("step", string(s.Kind)).WithField("payload", s.Payload)
	if f.Intent.Wanted != nil {
		log = log.WithField("intent", f.Intent.Wanted.ID)
	}
	log.Infof("Started: %s", s)
	begun := a.Now()
	defer a.live.enter(s.String(), patience(s.Kind), begun)()
	a.meter().Started(s)
	err := a.Stepper.Run(ctx, s, f)
	a.meter().Ended(s, err, a.Now().Sub(begun), a.Now())
	if err != nil {
		log.WithError(err).Errorf("Failed: %s", s)
		if _, outdated := errors.AsType[*host.Outdated](err); outdated {
			a.Renew(err)
		}
		return err
	}
	a.repeats.note(s, a.Now())
	log.Infof("Finished: %s in %s", s, a.Now().Sub(begun).Round(time.Millisecond))
	return nil
}
