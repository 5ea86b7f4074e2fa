// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/kata-node/kata-node/controller/apply"
)

// Durations that OpenShift's conventions ask for: a leader outlives 60 s without an API server.
const (
	LeaseDuration = 137 * time.Second
	RenewDeadline = 107 * time.Second
	RetryPeriod   = 26 * time.Second
)

// leaseName is the one Lease that instances compete for.
const leaseName = "kata-controller"

// Election is how instances agree on the one that works.
type Election struct {
	Namespace     string
	Identity      string
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	RetryPeriod   time.Duration
	// Now is the clock by which the age of the lease is judged, time.Now where it is nil.
	Now func() time.Time
}

// fence keeps work from writing after the lease may have passed to another instance. What is left
// of the lease is for requests that are on their way.
func (e Election) fence() *apply.Fence {
	f := &apply.Fence{Limit: e.RenewDeadline, Now: e.Now}
	if f.Now == nil {
		f.Now = time.Now
	}
	return f
}

// renewals tells the fence when the lease was last renewed.
type renewals struct {
	resourcelock.Interface

	fence *apply.Fence
}

func (r renewals) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return r.note(record, func() error { return r.Interface.Create(ctx, record) })
}

func (r renewals) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return r.note(record, func() error { return r.Interface.Update(ctx, record) })
}

// note takes the time from before the request: other instances count from later on. A record
// without a holder gives the lease up.
func (r renewals) note(record resourcelock.LeaderElectionRecord, write func() error) error {
	if record.HolderIdentity == "" {
		r.fence.Renewed(time.Time{})
		return write()
	}
	at := r.fence.Now()
	if err := write(); err != nil {
		return err
	}
	r.fence.Renewed(at)
	return nil
}

// Lead runs work while this instance is the leader, with a configuration by which it can write for
// as long as it is. It returns when the context ends, with nil, or when the lease is lost or work
// returns an error: the process should end then, and start again.
func Lead(ctx context.Context, config *rest.Config, e Election, log logrus.FieldLogger, work func(context.Context, *rest.Config) error) error {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("electing a leader: %w", err)
	}
	fence, held := e.fence(), rest.CopyConfig(config)
	held.Wrap(fence.Wrap)
	// The lease is given up after the work has ended, never while a write may be on its way.
	term, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	var leading atomic.Bool
	defer context.AfterFunc(ctx, func() {
		if !leading.Load() {
			end(nil)
		}
	})()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: renewals{fence: fence, Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: e.Namespace, Name: leaseName},
			Client:     kube.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: e.Identity},
		}},
		LeaseDuration:   e.LeaseDuration,
		RenewDeadline:   e.RenewDeadline,
		RetryPeriod:     e.RetryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(lease context.Context) {
				leading.Store(true)
				end(during(ctx, lease, func(ctx context.Context) error { return work(ctx, held) }))
			},
			OnStoppedLeading: func() { log.Infof("not leading any more") },
			OnNewLeader:      func(identity string) { log.WithField("leader", identity).Infof("leader elected") },
		},
	})
	if err != nil {
		return fmt.Errorf("electing a leader: %w", err)
	}
	elector.Run(term)
	return outcome(ctx.Err() != nil, context.Cause(term))
}

// during runs work until either context ends.
func during(ctx, lease context.Context, work func(context.Context) error) error {
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(lease, cancel)()
	return work(both)
}

// outcome returns why leadership ended unexpectedly: the work returned an error, or another
// instance took the lease.
func outcome(asked bool, cause error) error {
	switch {
	case asked:
		return nil
	case cause != nil && !errors.Is(cause, context.Canceled):
		return cause
	default:
		return errors.New("electing a leader: the lease was lost")
	}
}
