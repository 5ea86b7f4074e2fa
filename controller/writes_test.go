// SPDX-License-Identifier: Apache-2.0

package controller //nolint:testpackage // writes have no other way in

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/controller/apply"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/rollout"
)

// slowServer answers patches of Nodes, and none before so many are under way: whoever writes fewer
// at a time waits until the test's limit. Nodes in refused are those that have changed.
type slowServer struct {
	together int
	refused  map[string]bool

	mu                       sync.Mutex
	underWay, most, answered int
	full                     chan struct{}
}

func (s *slowServer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if err := s.wait(q.Context()); err != nil {
		return
	}
	defer s.ends()
	n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: path.Base(q.URL.Path), UID: "u", ResourceVersion: "2", Labels: map[string]string{node.ReadyLabel: node.ReadyValue}}}
	var answer any = n
	w.Header().Set("Content-Type", "application/json")
	if s.refused[n.Name] {
		conflict := apierrors.NewConflict(schema.GroupResource{Resource: "nodes"}, n.Name, nil)
		w.WriteHeader(http.StatusConflict)
		answer = conflict.Status()
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(http.ErrAbortHandler) // The client reports it.
	}
}

// wait returns when so many requests have come together, or the client has given up.
func (s *slowServer) wait(ctx context.Context) error {
	s.mu.Lock()
	s.underWay++
	s.most = max(s.most, s.underWay)
	if s.full == nil {
		s.full = make(chan struct{})
	}
	full := s.full
	if (s.underWay+s.answered)%s.together == 0 {
		close(s.full)
		s.full = nil
	}
	s.mu.Unlock()
	select {
	case <-full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// seen is how many requests were under way at the same time at most, and how many were answered.
func (s *slowServer) seen() (most, answered int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most, s.answered
}

func (s *slowServer) ends() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay--
	s.answered++
}

// newWriting is a controller that writes to that server, by that clock.
func newWriting(t *testing.T, server http.Handler, now func() time.Time) *Controller {
	t.Helper()
	listens := httptest.NewServer(server)
	t.Cleanup(listens.Close)
	kube, err := kubernetes.NewForConfig(&rest.Config{Host: listens.URL, QPS: -1})
	require.NoError(t, err)
	metrics, err := NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	t.Cleanup(queue.ShutDown)
	log, _ := logtest.NewNullLogger()
	return &Controller{
		settings: Settings{Now: now, Health: &Health{}}, queue: queue, metrics: metrics, log: log, caches: &caches{},
		writer: &apply.Writer{Kube: kube, Log: log},
	}
}

// proved are changes of so many Nodes whose label is set.
func proved(count int) []rollout.Change {
	changes := make([]rollout.Change, count)
	for i := range changes {
		changes[i] = rollout.Change{Node: facts.Node{Name: fmt.Sprintf("n%02d", i), UID: "u", ResourceVersion: "1"}, Label: rollout.LabelSet}
	}
	return changes
}

func TestEightNodesAreWrittenAtTheSameTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := &slowServer{together: atOnce, refused: map[string]bool{"n05": true, "n02": true, "n11": true}}
	c := newWriting(t, server, time.Now)
	changes := proved(3 * atOnce)
	changes[0].Entered = true
	changes = append(changes, proved(3*atOnce + 1)[3*atOnce])
	err := c.change(ctx, changes, false)
	most, answered := server.seen()
	require.NoError(t, ctx.Err(), "%d were under way at once", most)
	assert.Equal(t, atOnce, most)
	assert.Equal(t, 3*atOnce, answered, "a grant that is not entered is not written")

	require.True(t, outdated(err), "%v", err)
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	var names []string
	for _, part := range joined.Unwrap() {
		var status apierrors.APIStatus
		require.ErrorAs(t, part, &status)
		names = append(names, status.Status().Details.Name)
	}
	assert.Equal(t, []string{"n02", "n05", "n11"}, names, "in the order of the changes, whichever ended first")
	assert.Equal(t, server.refused, c.refused)

	cached := map[string]*facts.Node{}
	for _, change := range changes {
		cached[change.Node.Name] = &change.Node
	}
	for name, n := range c.caches.view.Update(cached, time.Now()) {
		assert.Equal(t, name != "n00" && !server.refused[name], n.Labelled(), name)
	}
}

func TestAPassThatWritesForTooLongLeavesTheRestToTheNextOne(t *testing.T) {
	t.Parallel()
	server, now := &slowServer{together: 1}, time.Now()
	c := newWriting(t, server, func() time.Time {
		now = now.Add(passTime / 8)
		return now
	})
	require.NoError(t, c.change(t.Context(), proved(3*atOnce), true))
	_, answered := server.seen()
	assert.Positive(t, answered)
	assert.Less(t, answered, atOnce)
	assert.Equal(t, 1, c.queue.Len())
}

func TestWhatMustNotWaitIsWrittenFirstAndWhatWasRefusedLast(t *testing.T) {
	t.Parallel()
	change := func(name string, of rollout.Change) rollout.Change {
		of.Node.Name = name
		return of
	}
	var names []string
	for _, c := range inOrder([]rollout.Change{
		change("refused", rollout.Change{Label: rollout.LabelCleared}), change("starts", rollout.Change{}), change("proved", rollout.Change{Label: rollout.LabelSet}),
		change("granted", rollout.Change{Entered: true}), change("emptied", rollout.Change{Label: rollout.LabelCleared}), change("starts too", rollout.Change{}),
	}, map[string]bool{"refused": true, "starts": false}) {
		names = append(names, c.Node.Name)
	}
	assert.Equal(t, []string{"emptied", "granted", "proved", "starts", "starts too", "refused"}, names)
}
