// SPDX-License-Identifier: Apache-2.0

// Package controller keeps a cluster as its KataConfigs want it: it reads everything from its
// caches, decides, and applies. Decisions live in the packages below it, writes in package apply;
// here is only the order of things.
package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/kata-node/kata-node/controller/apply"
	"github.com/kata-node/kata-node/controller/rollout"
)

// Settings are what the operator of the controller chooses.
type Settings struct {
	// DefaultPayload is the image by digest for KataConfigs that name none; it may be empty.
	DefaultPayload string
	// AgentDeadline is how long an intent may go unanswered before the node counts as failed.
	AgentDeadline time.Duration
	// ProgressDeadline is how long a node may stay as it is before it counts as failed.
	ProgressDeadline time.Duration
	// FailureGrace is how long a failed node keeps its place in a rollout.
	FailureGrace time.Duration
	// Settle is how long a pass waits for further events, so that a burst of them costs one pass.
	Settle time.Duration
	// Now is the clock.
	Now func() time.Time
}

func (s Settings) limits() rollout.Limits {
	return rollout.Limits{Answer: s.AgentDeadline, Progress: s.ProgressDeadline, Grace: s.FailureGrace}
}

// key is the only one in the queue: every pass looks at the whole cluster.
const key = "cluster"

// Controller is one running instance. Only the leader may run.
type Controller struct {
	settings Settings
	writer   *apply.Writer
	caches   *caches
	queue    workqueue.TypedRateLimitingInterface[string]
	metrics  *Metrics
	log      logrus.FieldLogger
}

// Run works until the context ends. It returns an error only when it could not begin.
func Run(ctx context.Context, config *rest.Config, settings Settings, metrics *Metrics, log logrus.FieldLogger) error {
	c, err := begin(ctx, config, settings, metrics, log)
	if err != nil {
		return fmt.Errorf("starting the controller: %w", err)
	}
	context.AfterFunc(ctx, c.queue.ShutDown)
	c.queue.Add(key)
	for c.next(ctx) {
	}
	return nil
}

// next waits for work and does it.
func (c *Controller) next(ctx context.Context) bool {
	item, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(item)
	switch err := c.sync(ctx); {
	case err == nil:
		c.queue.Forget(item)
	case outdated(err):
		c.log.WithError(err).Debugf("the cluster moved on, looking again")
		c.queue.AddRateLimited(item)
	case ctx.Err() == nil:
		c.log.WithError(err).Warnf("pass incomplete, trying again")
		c.queue.AddRateLimited(item)
	}
	return true
}

// sync is the whole story of the controller.
func (c *Controller) sync(ctx context.Context) error {
	now := c.settings.Now()
	seen, err := c.caches.read(now)
	if err != nil {
		return err
	}
	decided := decide(seen, c.settings, now)
	c.metrics.observe(decided)
	if !decided.next.IsZero() {
		c.queue.AddAfter(key, decided.next.Sub(now))
	}
	return c.apply(ctx, decided)
}

// apply makes what was decided so. Nothing is installed before its finalizer is there, and the
// finalizer goes last. One refused write does not keep the others from being made.
func (c *Controller) apply(ctx context.Context, d decision) error {
	var errs []error
	for _, kc := range d.accept {
		errs = append(errs, c.writer.Accept(ctx, kc))
	}
	errs = append(errs, c.writer.RuntimeClass(ctx, d.existing, d.desired))
	for _, change := range d.changes {
		updated, err := c.writer.Node(ctx, change)
		if err == nil {
			c.caches.wrote(updated)
		}
		errs = append(errs, err)
	}
	for _, s := range d.statuses {
		errs = append(errs, c.writer.Status(ctx, s.config, s.status))
	}
	for _, kc := range d.release {
		errs = append(errs, c.writer.Release(ctx, kc))
	}
	return errors.Join(errs...)
}

// outdated is true when every part of the error says that an object has changed since it was read:
// the next pass knows better.
func outdated(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err)
	}
	for _, part := range joined.Unwrap() {
		if !outdated(part) {
			return false
		}
	}
	return true
}

// wake asks for a pass when things have settled. Heartbeats, which are most of what happens to
// Nodes, start no pass.
func (c *Controller) wake() cache.ResourceEventHandlerFuncs {
	soon := func() { c.queue.AddAfter(key, c.settings.Settle) }
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { soon() },
		UpdateFunc: func(before, after any) {
			if !heartbeat(before, after) {
				soon()
			}
		},
		DeleteFunc: func(any) { soon() },
	}
}
