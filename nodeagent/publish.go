// SPDX-License-Identifier: Apache-2.0

package nodeagent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
	"github.com/kata-node/kata-node/nodeagent/report"
)

const (
	// publishLimit bounds one write of the Node.
	publishLimit = 30 * time.Second
	// textInterval is how often a report is written of which only a text changed, such as an
	// error with a port number in it.
	textInterval = 5 * time.Minute
	// unknownRetry is for an agent that has not seen its Node yet.
	unknownRetry = time.Second
)

// publisher writes the newest report until it is written, in parallel with a step that takes long.
type publisher struct {
	api  cluster.API
	log  logrus.FieldLogger
	now  func() time.Time
	wake chan struct{}

	mu       sync.Mutex
	latest   *message
	written  message
	at       time.Time // of the last write
	failures int
	next     time.Time // of the next try
}

// message is what one write says.
type message struct {
	report    node.Report
	condition cluster.Condition
}

func newPublisher(api cluster.API, log logrus.FieldLogger, now func() time.Time) *publisher {
	return &publisher{api: api, log: log, now: now, wake: make(chan struct{}, 1)}
}

// offer replaces what is to be written, and writes it unless a write failed a moment ago.
func (p *publisher) offer(ctx context.Context, m message) {
	p.mu.Lock()
	p.latest = &m
	if p.failures == 0 {
		p.next = time.Time{}
		if m.sameButText(p.written) {
			p.next = p.at.Add(textInterval)
		}
	}
	p.mu.Unlock()
	p.flush(ctx)
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

func (m message) equal(other message) bool {
	return report.Equal(m.report, other.report) && m.condition == other.condition
}

// flush writes what is to be written, if it is time.
func (p *publisher) flush(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}()
	if p.latest == nil || p.now().Before(p.next) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	err := p.api.Publish(ctx, p.latest.report, p.latest.condition, p.now())
	switch {
	case err == nil:
		p.written, p.at, p.latest, p.failures = *p.latest, p.now(), nil, 0
	case errors.Is(err, cluster.ErrUnknownNode):
		p.next = p.now().Add(unknownRetry)
	default:
		p.failures++
		p.next = p.now().Add(backoff(p.failures))
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
