// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// mortal ends an instance at its first write: before the API server has it, or after, in which case
// the instance gets no answer.
type mortal struct {
	after bool
	end   context.CancelFunc
	once  sync.Once
}

func (m *mortal) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(q *http.Request) (*http.Response, error) {
		if q.Method == http.MethodGet || strings.HasSuffix(q.URL.Path, "/events") || strings.HasSuffix(q.URL.Path, "/selfsubjectreviews") {
			return next.RoundTrip(q)
		}
		err := errors.New("the instance has ended")
		m.once.Do(func() {
			if m.after {
				response, problem := next.RoundTrip(q)
				if problem == nil {
					problem = response.Body.Close()
				}
				err = errors.Join(err, problem)
			}
			m.end()
		})
		return nil, err
	})
}

// outlives runs one instance after the other, each for one write, until the condition holds. It
// returns how many writes there were.
func (c *cluster) outlives(t *testing.T, config *rest.Config, condition func(ctx context.Context) bool) int {
	t.Helper()
	for instances := 0; ; instances++ {
		ctx, cancel := context.WithCancel(t.Context())
		own := rest.CopyConfig(config)
		own.Wrap((&mortal{after: instances%2 == 1, end: cancel}).wrap)
		metrics, err := controller.NewMetrics(prometheus.NewRegistry())
		require.NoError(t, err)
		log := logrus.New()
		log.SetOutput(t.Output())
		go func() {
			for ctx.Err() == nil && !condition(ctx) {
				<-time.After(50 * time.Millisecond)
			}
			cancel()
		}()
		require.NoError(t, controller.Run(ctx, own, settings(), metrics, log))
		if condition(t.Context()) {
			return instances / 2
		}
	}
}

func TestALeaderMayEndAtEveryWrite(t *testing.T) {
	t.Parallel()
	c := start(t)
	config, err := c.ServiceAccount(t.Context(), namespace, account)
	require.NoError(t, err)
	var b budget
	b.watch(t, c)
	for _, name := range []string{"a", "b"} {
		w := c.worker(t, name)
		w.reports(t, node.PhaseIdle)
		w.obey(t)
	}
	complete := func(payload string) func(context.Context) bool {
		return func(ctx context.Context) bool {
			kc, err := c.get(ctx, "kata")
			return err == nil && kc != nil && counts(kc) == "2/0/0/0 of 2 Completed" && kc.Status.KataImage == payload
		}
	}
	c.kataConfig(t, "kata", "{config: {maxUnavailable: 1}}")
	installed := c.outlives(t, config, complete(payloadA))
	c.kataConfig(t, "kata", "{config: {maxUnavailable: 1, payloadImage: '"+payloadB+"'}}")
	updated := c.outlives(t, config, complete(payloadB))
	c.delete(t, "kata")
	removed := c.outlives(t, config, func(ctx context.Context) bool {
		kc, err := c.get(ctx, "kata")
		return err == nil && kc == nil
	})
	t.Logf("an installation took %d writes, an update %d, a removal %d", installed, updated, removed)
	assert.Greater(t, installed, 10)
	b.mu.Lock()
	assert.Equal(t, 1, b.most)
	b.mu.Unlock()
	c.awaitRuntimeClass(t, "")
	list, err := c.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, n := range list.Items {
		assert.NotContains(t, n.Annotations, node.IntentAnnotation)
		assert.NotContains(t, n.Labels, node.ReadyLabel)
	}
}
