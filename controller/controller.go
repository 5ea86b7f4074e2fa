// SPDX-License-Identifier: Apache-2.0

// Package controller keeps a cluster as its KataConfigs want it: it reads everything from its
// caches, decides, and applies. Decisions live in the packages below it, writes in package apply;
// here is only the order of things.
package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"github.com/kata-node/kata-node/controller/apply"
	"github.com/kata-node/kata-node/controller/decide"
)

// Settings are what the operator of the controller chooses.
type Settings struct {
	decide.Settings
	// Namespace has the ledger.
	Namespace string
	// Catalog is the ConfigMap that says which payload is for which version.
	Catalog CatalogSource
	// Settle is how long a pass waits for further events, so that a burst of them costs one pass.
	Settle time.Duration
	// Now is the clock.
	Now func() time.Time
	// Health records what this instance does; nil where no probe asks for it.
	Health *Health
}

// key is the only one in the queue: every pass decides about the whole cluster.
const key = "cluster"

// Controller is one running instance. Only the leader may run.
type Controller struct {
	settings Settings
	writer   *apply.Writer
	caches   *caches
	queue    workqueue.TypedRateLimitingInterface[string]
	metrics  *Metrics
	log      logrus.FieldLogger

	// cluster has the Nodes of the last pass, and audit is when a pass looks at all of them again;
	// for the one goroutine that takes passes.
	cluster decide.Cluster
	audit   time.Time
	// policyProblem and catalogProblem are what the log last said of the admission policies and of
	// the catalogue; for the same goroutine.
	policyProblem, catalogProblem string
	// refused are the nodes whose write failed in the last pass; for the same goroutine.
	refused map[string]bool
}

// Run works until the context ends. It returns an error only when it could not begin.
func Run(ctx context.Context, config *rest.Config, settings Settings, metrics *Metrics, log logrus.FieldLogger) error {
	if settings.Health == nil {
		settings.Health = &Health{}
	}
	settings.Health.Leads(settings.Now())
	c, err := begin(ctx, config, settings, metrics, log)
	if err != nil {
		return fmt.Errorf("starting the controller: %w", err)
	}
	settings.Health.Synced()
	var sending sync.WaitGroup
	sending.Go(func() { c.writer.Events.Run(ctx) })
	defer sending.Wait()
	metrics.Leads(true)
	defer metrics.Leads(false)
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
	began := c.settings.Now()
	err := c.sync(ctx)
	c.metrics.Passed(c.settings.Now().Sub(began), err)
	switch {
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
	c.settings.Health.Steps(now)
	defer c.settings.Health.Passed()
	seen := c.caches.read()
	c.say(seen.PolicyProblem)
	c.sayOfCatalog(seen)
	decided := c.decide(seen, now)
	c.metrics.Observe(decided)
	if !decided.Next.IsZero() {
		c.queue.AddAfter(key, decided.Next.Sub(now))
	}
	return c.apply(ctx, decided)
}

// say names a problem with the admission policies once, also where no KataConfig exists that could
// show it.
func (c *Controller) say(problem string) {
	switch problem {
	case c.policyProblem:
	case "":
		c.log.Infof("the admission policies are in force")
	default:
		c.log.Errorf("nothing is started: %s", problem)
	}
	c.policyProblem = problem
}

// sayOfCatalog names a problem with the catalogue once, also where no KataConfig exists that could
// show it.
func (c *Controller) sayOfCatalog(seen decide.Seen) {
	switch problem := seen.CatalogProblem; {
	case problem == c.catalogProblem:
	case problem != "":
		c.log.Errorf("%s", problem)
	case seen.Catalog == nil:
		c.log.Infof("no catalogue is in force")
	default:
		c.log.Infof("the catalogue can be used again")
	}
	c.catalogProblem = seen.CatalogProblem
}

// apply makes what was decided so. Nothing is installed before its finalizer is there, and the
// finalizer goes last. One refused write does not keep the others from being made, except that a
// grant needs its entry in the ledger.
func (c *Controller) apply(ctx context.Context, d decide.Decision) error {
	var errs []error
	for _, kc := range d.Accept {
		errs = append(errs, c.writer.Accept(ctx, kc))
	}
	errs = append(errs, c.writer.RuntimeClass(ctx, d.Existing, d.Desired))
	for _, other := range d.Others {
		errs = append(errs, c.writer.RuntimeClass(ctx, other.Existing, other.Desired))
	}
	for _, s := range d.Statuses {
		errs = append(errs, c.writer.Status(ctx, s.Config, s.Status))
		c.settings.Health.Steps(c.settings.Now())
	}
	entered, err := c.enter(ctx, d)
	errs = append(errs, err, c.change(ctx, d.Changes, entered))
	for _, kc := range d.Release {
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
