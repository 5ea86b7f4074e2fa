// SPDX-License-Identifier: Apache-2.0

package nodeagent_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/plan"
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

// hanging makes steps last until nobody wants them any more; it receives each step as it begins and each reason as it ends.
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
		assert.Nil(t, w.Reported().Error, "nobody is told of a step that was called off")
	})
}

func TestAReplacedIntentEndsTheStepThatWorkedForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wanting(node.StateInstalled)
		w.told.Intent = "one"
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

func (s slow) Look(ctx context.Context, told cluster.Told) (plan.Facts, error) {
	s.looking <- struct{}{}
	<-s.seen
	return s.world.Look(ctx, told)
}

func TestAChangeDuringAPassBringsAnotherAtOnce(t *testing.T) {
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
		assert.Zero(t, time.Since(before))

		s.seen <- struct{}{}
		<-s.looking
		assert.Equal(t, time.Minute, time.Since(before), "without a change the next look comes when the pass asked for it")
		end()
		s.seen <- struct{}{}
		over.Wait()
	})
}
