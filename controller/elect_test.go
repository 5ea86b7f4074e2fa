// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kata-node/kata-node/controller"
)

// leases is an API server that has no Lease and lets one be made, but never renewed. It counts
// writes to nodes.
func leases(t *testing.T, nodes *atomic.Int32) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", q.Header.Get("Content-Type"))
		switch q.Method {
		case http.MethodGet:
			http.NotFound(w, q)
			return
		case http.MethodPatch:
			nodes.Add(1)
			w.Header().Set("Content-Type", "application/json")
			_, err := io.WriteString(w, `{"kind":"Node","apiVersion":"v1"}`)
			assert.NoError(t, err)
			return
		case http.MethodPut:
			w.WriteHeader(http.StatusConflict)
			return
		case http.MethodPost:
			w.WriteHeader(http.StatusCreated)
		}
		_, err := io.Copy(w, q.Body)
		assert.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func TestALeaderThatWasFrozenWritesNothing(t *testing.T) {
	t.Parallel()
	var nodes atomic.Int32
	var frozen atomic.Int64
	election := controller.Election{
		// The lease cannot be renewed here, and what is tested comes before its end.
		Namespace: "n", Identity: "i", LeaseDuration: 2 * time.Hour, RenewDeadline: time.Hour, RetryPeriod: controller.RetryPeriod,
		Now: func() time.Time { return time.Now().Add(time.Duration(frozen.Load())) },
	}
	log := logrus.New()
	log.SetOutput(t.Output())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	require.NoError(t, controller.Lead(ctx, leases(t, &nodes), election, log, func(ctx context.Context, held *rest.Config) error {
		defer stop()
		kube, err := kubernetes.NewForConfig(held)
		if err != nil {
			return err
		}
		write := func() error {
			_, err := kube.CoreV1().Nodes().Patch(ctx, "w", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
			return err
		}
		assert.NoError(t, write())
		frozen.Store(int64(election.RenewDeadline + time.Second))
		assert.ErrorContains(t, write(), "another instance may lead by now")
		return nil
	}))
	assert.EqualValues(t, 1, nodes.Load())
}
