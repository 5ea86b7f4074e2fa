// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/kata-node/kata-node/controller/apply"
)

// eventShare is the part of the requests that events may make up while everything else uses its
// own: they must not slow a rollout down. At rest they get what nothing else needs, too.
const eventShare = 0.25

// eventLimits let every event of a rollout on 15,000 nodes wait. Four are sent at a time: an API
// server that takes 200 ms for an answer takes 20 of them a second.
func eventLimits() apply.EventLimits { return apply.EventLimits{Waiting: 30_000, AtOnce: 4} }

// clients returns one for everything but events, and one for events. They share the limits of the
// configuration, and take what is built into Kubernetes in protobuf, which costs a third of JSON.
func clients(config *rest.Config) (kube, events kubernetes.Interface, err error) {
	client := func(limit flowcontrol.RateLimiter) (kubernetes.Interface, error) {
		own := rest.CopyConfig(config)
		own.ContentType = runtime.ContentTypeProtobuf
		own.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
		own.RateLimiter = limit
		made, err := kubernetes.NewForConfig(own)
		if err != nil {
			return nil, fmt.Errorf("making a client: %w", err)
		}
		return made, nil
	}
	writes, aside := limits(config)
	if kube, err = client(writes); err != nil {
		return nil, nil, err
	}
	events, err = client(aside)
	return kube, events, err
}

// limits are those of everything but events, and of events. Without a limit there are none.
func limits(config *rest.Config) (writes, events flowcontrol.RateLimiter) {
	if config.QPS <= 0 {
		return nil, nil
	}
	share := func(of float32) *bucket {
		return &bucket{rate.NewLimiter(rate.Limit(config.QPS*of), int(float32(config.Burst)*of))}
	}
	all := share(1 - eventShare)
	return all, leftover{share(eventShare), all}
}

// sharing returns a configuration whose clients keep to the same limit as another client: together
// they send no more than one of them may.
func sharing(config *rest.Config, with kubernetes.Interface) *rest.Config {
	shared := rest.CopyConfig(config)
	shared.RateLimiter = with.CoreV1().RESTClient().GetRateLimiter()
	return shared
}

// bucket is client-go's limit of requests, of which one can see how full it is.
type bucket struct{ *rate.Limiter }

func (b *bucket) TryAccept() bool { return b.Allow() }

func (b *bucket) Accept() { <-time.After(b.Reserve().Delay()) }

func (b *bucket) Stop() {}

func (b *bucket) QPS() float32 { return float32(b.Limit()) }

// spares lets a request pass that is not one of the bucket's own. Half of a burst stays: in a
// rollout, what a pass does not use is for the next one.
func (b *bucket) spares() bool { return b.Tokens() >= float64(b.Burst())/2+1 && b.Allow() }

// leftover is a limit that lets pass what it may itself, and what is left of another one.
type leftover struct {
	*bucket

	of *bucket
}

// TryAccept is true where either limit lets a request pass now.
func (l leftover) TryAccept() bool { return l.bucket.TryAccept() || l.of.spares() }

// Accept waits for the limit's own turn where neither lets a request pass now.
func (l leftover) Accept() {
	if !l.TryAccept() {
		l.bucket.Accept()
	}
}

// Wait is Accept with a context.
func (l leftover) Wait(ctx context.Context) error {
	if l.TryAccept() {
		return nil
	}
	return l.bucket.Wait(ctx)
}
