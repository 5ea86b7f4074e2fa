// SPDX-License-Identifier: Apache-2.0

package controller //nolint:testpackage // limits have no other way in

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// passing is how many requests a limit lets pass at this moment.
func passing(limit flowcontrol.RateLimiter) int {
	count := 0
	for limit.TryAccept() {
		count++
	}
	return count
}

// The rates are so low that no request is allowed during the test but those of the bursts.
func TestEventsGetAQuarterAndWhatNothingElseNeeds(t *testing.T) {
	t.Parallel()
	config := &rest.Config{QPS: 1e-6, Burst: 40}
	writes, events := limits(config)
	assert.Equal(t, 10+15, passing(events), "their own burst, and half of the other")
	assert.Equal(t, 15, passing(writes))
	assert.Zero(t, passing(events))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, events.Wait(ctx))
	require.Error(t, writes.Wait(ctx))
}

// At rest, events use the whole rate. In a rollout they get their share.
func TestEventsAtRestUseTheWholeRate(t *testing.T) {
	t.Parallel()
	const second = 400
	writes, events := limits(&rest.Config{QPS: second, Burst: 40})
	sent := func() (count int) {
		for end := time.Now().Add(time.Second); time.Now().Before(end); count++ {
			require.NoError(t, events.Wait(t.Context()))
		}
		return count
	}
	assert.Greater(t, sent(), second/2, "much more than their share")

	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for range 8 {
		writing.Go(func() {
			for writes.Wait(ctx) == nil {
			}
		})
	}
	assert.Less(t, sent(), second/2, "not much more than their share")
	cancel()
	writing.Wait()
}

func TestWithoutALimitThereIsNoneForEvents(t *testing.T) {
	t.Parallel()
	writes, events := limits(&rest.Config{QPS: -1})
	assert.Nil(t, writes)
	assert.Nil(t, events)
}

// Whatever the controller writes, the API server gets no more than --requests-per-second of it, and
// events never take what a rollout needs.
func TestAllWritesKeepToOneLimitTogether(t *testing.T) {
	t.Parallel()
	config := &rest.Config{Host: "https://127.0.0.1:1", QPS: 20, Burst: 40}
	kube, events, err := clients(config)
	require.NoError(t, err)
	all, ofEvents := kube.CoreV1().RESTClient().GetRateLimiter(), events.CoreV1().RESTClient().GetRateLimiter()
	assert.InDelta(t, 15, all.QPS(), 0.001)
	assert.InDelta(t, 5, ofEvents.QPS(), 0.001)
	assert.Same(t, all, kube.NodeV1().RESTClient().GetRateLimiter(), "for every kind of object")
	assert.Same(t, all, sharing(config, kube).RateLimiter, "KataConfigs included")
	assert.Nil(t, config.RateLimiter)
}
