// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/report"
)

const (
	// publishLimit bounds one write of the Node, and publishPatience how long a pass waits for it
	// at most: a slow API server keeps no node from its steps.
	publishLimit    = 30 * time.Second
	publishPatience = 2 * time.Second
	// textInterval is how often, in the long run, a report is written of which only a text changed,
	// such as an error with a port number in it. errorBurst is how many such errors may follow each
	// other at once: who repairs one cause of a failure sees the next one when it is found.
	textInterval = 5 * time.Minute
	errorBurst   = 3
	// unknownRetry is for an agent that has not seen its Node yet.
	unknownRetry = time.Second
)

// publisher writes the newest report until it is written, in parallel with a step that takes long.
type publisher struct {
	api cluster.API
	log logrus.FieldLogger
	now func() time.Time
	// spread turns the longest delay of a retry into the one of this node.
	spread func(time.Duration) time.Duration
	wake   chan struct{}
	// parallel is whether run writes; without it offer does.
	parallel bool

	writing sync.Mutex // one request at a time

	mu       sync.Mutex
	answered chan struct{} // closed after the next write
	latest   *message
	written  message
	at       time.Time     // of the last write
	texts    *rate.Limiter // of writes of which only a text changed
	failures int
	next     time.Time // of the next try
}

// message is what one write says.
type message struct {
	report    node.Report
	condition cluster.Condition
}

func newPublisher(api cluster.API, log logrus.FieldLogger, now func() time.Time, spread func(time.Duration) time.Duration) *publisher {
	return &publisher{
		api: api, log: log, now: now, spread: spread, wake: make(chan struct{}, 1),
		texts: rate.NewLimiter(rate.Every(textInterval), errorBurst),
	}
}

// offer replaces what is to be written, and waits so long for the write unless one failed a moment
// ago.
func (p *publisher) offer(ctx context.Context, m message, wait time.Duration) {
	if !p.parallel {
		p.replace(m)
		p.flush(ctx)
		return
	}
	answered := p.replace(m)
	p.rouse()
	if answered == nil || wait == 0 {
		return
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	select {
	case <-answered:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// replace returns what is closed after the write, nil where it is not time for one.
func (p *publisher) replace(m message) (answered <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = &m
	if p.failures == 0 {
		p.schedule()
	}
	if p.now().Before(p.next) {
		return nil
	}
	p.answered = make(chan struct{})
	return p.answered
}

// schedule says when the latest message is to be written where nothing failed.
func (p *publisher) schedule() {
	switch {
	case !p.latest.sameButText(p.written):
		p.next = time.Time{}
	case p.latest.sameError(p.written):
		p.next = p.at.Add(textInterval)
	default:
		now := p.now()
		turn := p.texts.ReserveN(now, 1)
		p.next = now.Add(turn.DelayFrom(now))
		turn.CancelAt(now)
	}
}

// wrote records a write.
func (p *publisher) wrote(m message) {
	p.at = p.now()
	if m.sameButText(p.written) {
		p.texts.ReserveN(p.at, 1)
	}
	p.written, p.failures = m, 0
}

// retry makes the next try now: the API server answers again.
func (p *publisher) retry() {
	p.mu.Lock()
	if p.failures > 0 {
		p.next = time.Time{}
	}
	p.mu.Unlock()
	p.rouse()
}

// rouse makes run look at the time of the next try.
func (p *publisher) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// sameButText tells that two messages differ in nothing but what a person reads.
func (m message) sameButText(other message) bool {
	return !m.equal(other) && m.withoutText().equal(other.withoutText())
}

func (m message) withoutText() message {
	m.condition.Message = ""
	if m.report.Error != nil {
		e := *m.report.Error
		e.Message = ""
		m.report.Error = &e
	}
	return m
}

// sameError is whether neither has an error, or both have one with the same text.
func (m message) sameError(other message) bool {
	if m.report.Error == nil || other.report.Error == nil {
		return m.report.Error == other.report.Error
	}
	return m.report.Error.Message == other.report.Error.Message
}

func (m message) equal(other message) bool {
	return report.Equal(m.report, other.report) && m.condition == other.condition
}

// flush writes what is to be written, if it is time.
func (p *publisher) flush(ctx context.Context) {
	p.writing.Lock()
	defer p.writing.Unlock()
	m := p.due()
	if m == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	p.note(m, p.api.Publish(ctx, m.report, m.condition, p.now()))
}

func (p *publisher) due() *message {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil || p.now().Before(p.next) {
		return nil
	}
	return p.latest
}

// note records the outcome of a write. Another message may have come meanwhile.
func (p *publisher) note(m *message, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered != nil {
		close(p.answered)
		p.answered = nil
	}
	switch {
	case err == nil:
		p.wrote(*m)
		if p.latest == m {
			p.latest = nil
		} else {
			p.schedule()
		}
	case errors.Is(err, cluster.ErrUnknownNode):
		p.next = p.now().Add(unknownRetry)
	default:
		p.failures++
		p.next = p.now().Add(p.spread(backoff(p.failures)))
		p.log.WithError(err).Warnf("The report is not written; it is tried again")
	}
}

// run tries again until ctx ends.
func (p *publisher) run(ctx context.Context) {
	for {
		timer := time.NewTimer(p.wait())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-p.wake:
			timer.Stop()
		case <-timer.C:
			p.flush(ctx)
		}
	}
}

// wait returns how long the next try is away.
func (p *publisher) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil {
		return restingLook
	}
	return max(0, p.next.Sub(p.now()))
}
