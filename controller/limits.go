// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/kata-node/kata-node/controller/apply"
)

// eventShare is the part of the requests that events may make up while everything else uses its
// own: they must not slow a rollout down.
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
	share := func(of float32) flowcontrol.RateLimiter {
		return flowcontrol.NewTokenBucketRateLimiter(config.QPS*of, int(float32(config.Burst)*of))
	}
	writes = share(1 - eventShare)
	return writes, leftover{share(eventShare), writes}
}

// sharing returns a configuration whose clients keep to the same limit as another client: together
// they send no more than one of them may.
func sharing(config *rest.Config, with kubernetes.Interface) *rest.Config {
	shared := rest.CopyConfig(config)
	shared.RateLimiter = with.CoreV1().RESTClient().GetRateLimiter()
	return shared
}

// leftover is a limit that lets pass what it may itself, and what another one has left.
type leftover struct {
	flowcontrol.RateLimiter

	of flowcontrol.RateLimiter
}

// TryAccept is true where either limit lets a request pass now.
func (l leftover) TryAccept() bool { return l.RateLimiter.TryAccept() || l.of.TryAccept() }

// Accept waits for the limit's own turn where neither lets a request pass now.
func (l leftover) Accept() {
	if !l.TryAccept() {
		l.RateLimiter.Accept()
	}
}

// Wait is Accept with a context.
func (l leftover) Wait(ctx context.Context) error {
	if l.TryAccept() {
		return nil
	}
	return l.RateLimiter.Wait(ctx)
}
