// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/apply"
)

// sending are Events that go to an API server in memory, and what became of them.
type sending struct {
	*apply.Events

	kube *fake.Clientset

	mu      sync.Mutex
	results map[apply.EventResult]int
	waiting int
}

// newSending are Events that nothing is sent of before run is called, one at a time.
func newSending(t *testing.T, waiting int) *sending {
	t.Helper()
	s := &sending{kube: fake.NewClientset(), results: map[apply.EventResult]int{}}
	log := logrus.New()
	log.SetOutput(t.Output())
	s.Events = apply.NewEvents(s.kube.CoreV1().Events(metav1.NamespaceDefault), apply.EventLimits{Waiting: waiting, AtOnce: 1}, s, log, time.Now)
	return s
}

func (s *sending) EventEnded(result apply.EventResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[result]++
}

func (s *sending) EventsWait(count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = count
}

func (s *sending) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// await waits until that has become of all events.
func (s *sending) await(t *testing.T, results map[apply.EventResult]int) {
	t.Helper()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		s.mu.Lock()
		defer s.mu.Unlock()
		assert.Equal(t, results, maps.Clone(s.results))
		assert.Zero(t, s.waiting)
	}, time.Minute, time.Millisecond)
}

// has are the events that the API server has, by what they are about and their reason.
func (s *sending) has(t *testing.T) map[string]corev1.Event {
	t.Helper()
	list, err := s.kube.CoreV1().Events(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	out := map[string]corev1.Event{}
	for _, e := range list.Items {
		out[e.InvolvedObject.Kind+" "+e.InvolvedObject.Name+" "+e.Reason] = e
	}
	return out
}

func config() *v1.KataConfig {
	return &v1.KataConfig{ObjectMeta: metav1.ObjectMeta{Name: "kata", UID: "uid-of-kata", ResourceVersion: "7"}}
}

func TestAnEventNamesItsObjectAndItsTime(t *testing.T) {
	t.Parallel()
	s := newSending(t, 10)
	before := time.Now().Add(-time.Second)
	s.OfNode("w", corev1.EventTypeNormal, "KataReady", "ready")
	s.OfConfig(config(), corev1.EventTypeWarning, "NodesFailed", "one failed")
	after := time.Now()
	s.run(t)
	s.await(t, map[apply.EventResult]int{apply.SentEvent: 2})
	has := s.has(t)
	of := has["Node w KataReady"]
	assert.Equal(t, corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "w", UID: "w"}, of.InvolvedObject)
	assert.Equal(t, "ready", of.Message)
	assert.Equal(t, corev1.EventTypeNormal, of.Type)
	assert.Equal(t, "kata-controller", of.Source.Component)
	assert.WithinRange(t, of.LastTimestamp.Time, before, after)
	of = has["KataConfig kata NodesFailed"]
	assert.Equal(t, corev1.ObjectReference{APIVersion: "kataconfiguration.openshift.io/v1", Kind: "KataConfig", Name: "kata", UID: "uid-of-kata", ResourceVersion: "7"}, of.InvolvedObject)
	assert.Equal(t, corev1.EventTypeWarning, of.Type)
}

func TestKataConfigsAndWarningsGoFirst(t *testing.T) {
	t.Parallel()
	s := newSending(t, 1000)
	want := []string{apply.EventFailed + " w007", "Completed kata"}
	for i := range 500 {
		s.OfNode(fmt.Sprintf("w%03d", i), corev1.EventTypeNormal, "KataInstall", "begins")
		want = append(want, fmt.Sprintf("KataInstall w%03d", i))
	}
	s.OfNode("w007", corev1.EventTypeWarning, apply.EventFailed, "no room")
	s.OfConfig(config(), corev1.EventTypeNormal, "Completed", "all of them")
	s.run(t)
	s.await(t, map[apply.EventResult]int{apply.SentEvent: 502})
	var sent []string
	for _, action := range s.kube.Actions() {
		create, ok := action.(k8stesting.CreateAction)
		require.True(t, ok)
		made, ok := create.GetObject().(*corev1.Event)
		require.True(t, ok)
		sent = append(sent, made.Reason+" "+made.InvolvedObject.Name)
	}
	assert.Equal(t, want, sent, "and the others in their order")
}

// While one node after the other restarts CRI-O, the reason of a condition alternates.
func TestTheEndOfALongRolloutIsAnEvent(t *testing.T) {
	t.Parallel()
	const nodes = 60
	s := newSending(t, 1000)
	s.run(t)
	for i := range nodes {
		s.OfConfig(config(), corev1.EventTypeNormal, "Installing", fmt.Sprintf("%d of %d nodes complete", i, nodes))
		s.OfConfig(config(), corev1.EventTypeNormal, "Waiting", fmt.Sprintf("%d of %d nodes complete", i, nodes))
	}
	s.OfConfig(config(), corev1.EventTypeNormal, "Completed", "all of them")
	const kept = 25 // of each reason
	s.await(t, map[apply.EventResult]int{apply.SentEvent: 2*kept + 1, apply.DroppedEvent: 2 * (nodes - kept)})
	assert.Contains(t, s.has(t), "KataConfig kata Completed")
}

func TestTheSameEventAgainIsCounted(t *testing.T) {
	t.Parallel()
	s := newSending(t, 10)
	s.run(t)
	for i := range 3 {
		s.OfNode("w", corev1.EventTypeNormal, "KataInstall", "the intent had vanished")
		s.await(t, map[apply.EventResult]int{apply.SentEvent: i + 1})
	}
	assert.Equal(t, int32(3), s.has(t)["Node w KataInstall"].Count)
}

func TestEventsThatAreTooManyAreDroppedAndCounted(t *testing.T) {
	t.Parallel()
	s := newSending(t, 3)
	for i := range 5 {
		s.OfNode(fmt.Sprintf("w%d", i), corev1.EventTypeNormal, "KataInstall", "begins")
	}
	s.OfConfig(config(), corev1.EventTypeNormal, "Completed", "all of them")
	s.mu.Lock()
	assert.Equal(t, 4, s.waiting)
	s.mu.Unlock()
	s.run(t)
	s.await(t, map[apply.EventResult]int{apply.SentEvent: 4, apply.DroppedEvent: 2})
	assert.Contains(t, s.has(t), "KataConfig kata Completed")
}

func TestAnEventWhoseAnswerIsLostIsThereOnce(t *testing.T) {
	t.Parallel()
	s := newSending(t, 10)
	var once sync.Once
	s.kube.PrependReactor("create", "events", func(action k8stesting.Action) (handled bool, _ runtime.Object, err error) {
		once.Do(func() {
			create, ok := action.(k8stesting.CreateAction)
			require.True(t, ok)
			require.NoError(t, s.kube.Tracker().Create(action.GetResource(), create.GetObject(), action.GetNamespace()))
			handled, err = true, errors.New("the connection was reset")
		})
		return handled, nil, err
	})
	s.OfNode("w", corev1.EventTypeNormal, "KataReady", "ready")
	s.run(t)
	s.await(t, map[apply.EventResult]int{apply.SentEvent: 1})
	assert.Len(t, s.has(t), 1)
}

func TestARefusedEventHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := newSending(t, 10)
	var once sync.Once
	s.kube.PrependReactor("create", "events", func(action k8stesting.Action) (handled bool, _ runtime.Object, err error) {
		once.Do(func() {
			handled, err = true, apierrors.NewForbidden(action.GetResource().GroupResource(), "e", errors.New("no right"))
		})
		return handled, nil, err
	})
	s.OfNode("a", corev1.EventTypeNormal, "KataReady", "ready")
	s.OfNode("b", corev1.EventTypeNormal, "KataReady", "ready")
	s.run(t)
	s.await(t, map[apply.EventResult]int{apply.RefusedEvent: 1, apply.SentEvent: 1})
	assert.Contains(t, s.has(t), "Node b KataReady")
}
