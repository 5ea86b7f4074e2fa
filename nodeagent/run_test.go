// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/plan"
	"github.com/kata-node/kata-node/nodeagent/report"
)

// life is an agent's loop under way. Time is that of the bubble around it.
type life struct {
	changed chan struct{}
	tick    chan time.Time
	alive   chan struct{}
	end     context.CancelFunc
	over    sync.WaitGroup
}

func live(t *testing.T, w *world) *life {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	l := &life{changed: make(chan struct{}), tick: make(chan time.Time), alive: make(chan struct{}), end: end}
	a := w.agent(t)
	l.over.Go(func() { a.Run(ctx, l.changed, l.tick, func() { l.alive <- struct{}{} }) })
	return l
}

func (l *life) stop() {
	l.end()
	l.over.Wait()
}

// hanging makes steps last until nobody wants them any more; it receives each step as it begins and
// each reason as it ends.
func hanging(w *world) (begun chan plan.Step, ended chan error) {
	begun, ended = make(chan plan.Step), make(chan error, 10)
	w.do = func(ctx context.Context, s plan.Step) error {
		begun <- s
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}
	return begun, ended
}

func TestTheWatchdogIsFedWhileAStepHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		begun, _ := hanging(w)
		l := live(t, w)
		<-begun
		for range 3 {
			l.tick <- time.Now()
			<-l.alive
		}
		l.stop()
	})
}

func TestTheEndOfTheContextEndsStepAndLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		begun, ended := hanging(w)
		l := live(t, w)
		<-begun
		l.stop()
		require.ErrorIs(t, <-ended, context.Canceled)
		assert.Len(t, w.steps, 1)
		assert.Nil(t, w.Reported().Error, "a step that was called off is not reported")
	})
}

func TestAReplacedIntentEndsTheStepThatWorkedForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		w.shown.Intent = "one"
		begun, ended := hanging(w)
		l := live(t, w)
		<-begun
		l.changed <- struct{}{}
		synctest.Wait()
		assert.Empty(t, ended, "other changes let it work")

		w.tell("two")
		before := time.Now()
		l.changed <- struct{}{}
		<-begun
		assert.Len(t, ended, 1)
		assert.Zero(t, time.Since(before), "and the new one is followed at once")
		l.stop()
	})
}

func TestAnIntentThatTheDiskHadAlreadyInterruptsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		begun, ended := hanging(w)
		l := live(t, w)
		<-begun
		w.tell(`{"id":"` + w.facts.Intent.Wanted.ID + `"}`)
		l.changed <- struct{}{}
		synctest.Wait()
		assert.Empty(t, ended, "the API server came later than the first pass")
		l.stop()
	})
}

// slow looks until it is let go.
type slow struct {
	*world
	looking, seen chan struct{}
}

func (s slow) Look(ctx context.Context, shown cluster.State) (plan.Facts, error) {
	s.looking <- struct{}{}
	<-s.seen
	return s.world.Look(ctx, shown)
}

func TestChangesDuringAPassBringOneMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateAbsent)
		s := slow{w, make(chan struct{}), make(chan struct{})}
		a := w.agent(t)
		a.Looker = s
		ctx, end := context.WithCancel(t.Context())
		changed := make(chan struct{})
		var over sync.WaitGroup
		over.Go(func() { a.Run(ctx, changed, nil, nil) })
		<-s.looking
		changed <- struct{}{}
		synctest.Wait()
		before := time.Now()
		s.seen <- struct{}{}
		<-s.looking
		assert.Equal(t, time.Second, time.Since(before), "events bring one look in a second")

		s.seen <- struct{}{}
		<-s.looking
		assert.Equal(t, time.Minute+time.Second, time.Since(before), "without a change the next look comes when the pass asked for it")
		end()
		s.seen <- struct{}{}
		over.Wait()
	})
}

// counted is how often an agent looked and wrote in an hour in which nothing happened.
func counted(t *testing.T, w *world) (looks, writes int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := w.agent(t)
		a.Now = time.Now
		ctx, end := context.WithTimeout(t.Context(), time.Hour)
		defer end()
		a.Run(ctx, nil, nil, nil)
	})
	for _, e := range w.events {
		if e == "look" {
			looks++
		}
	}
	for i, r := range w.reports {
		if i == 0 || !report.Equal(r, w.reports[i-1]) {
			writes++
		}
	}
	return looks, writes
}

func TestAnHourInWhichNothingHappensCostsLittle(t *testing.T) {
	t.Parallel()
	atRest := wanting(node.StateAbsent)
	blocked := wanting(node.StateAbsent)
	blocked.facts.Runtime.DropIn.Exists, blocked.facts.Cluster.BoundPods = true, []string{"ns/pod"}
	failing := wanting(node.StateInstalled)
	failing.do = func(context.Context, plan.Step) error { return errRegistry }
	changing := wanting(node.StateInstalled)
	changing.do = func(context.Context, plan.Step) error {
		return fmt.Errorf("dial tcp 192.0.2.1:443: from port %d: connection refused", 1024+len(changing.steps))
	}
	useless := wanting(node.StateInstalled)
	undone := wanting(node.StateAbsent)
	undone.facts.Intent.Kept = false
	undone.do = func(context.Context, plan.Step) error {
		undone.facts.Intent.Kept, undone.undo = true, func() { undone.facts.Intent.Kept = false }
		return nil
	}
	blind := wanting(node.StateInstalled)
	blind.blind = errors.New("observing the host: input/output error")
	for name, c := range map[string]struct {
		w             *world
		looks, writes int
	}{
		"at rest":               {atRest, 62, 1},
		"a removal waits":       {blocked, 200, 1},
		"a step fails":          {failing, 100, 2},
		"a step's words change": {changing, 100, 17},
		"a step has no effect":  {useless, 100, 2},
		"another hand undoes":   {undone, 150, 30},
		"the host is not seen":  {blind, 80, 1},
	} {
		looks, writes := counted(t, c.w)
		assert.LessOrEqual(t, looks, c.looks, "%s: looks", name)
		assert.LessOrEqual(t, writes, c.writes, "%s: writes", name)
	}
}
