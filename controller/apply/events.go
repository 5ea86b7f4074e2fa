// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/tools/record/util"

	v1 "github.com/kata-node/kata-node/api/v1"
)

// component is how events name this program.
const component = "kata-controller"

// EventResult is what became of an event.
type EventResult string

// The results.
const (
	SentEvent EventResult = "success"
	// RefusedEvent is one that the API server did not take.
	RefusedEvent EventResult = "error"
	// DroppedEvent is one that came while too many waited, or too often.
	DroppedEvent EventResult = "dropped"
)

// EventMetrics counts events. It is safe for concurrent use.
type EventMetrics interface {
	// EventEnded is called for each event.
	EventEnded(result EventResult)
	// EventsWait is called with how many wait to be sent.
	EventsWait(count int)
}

// EventLimits bound what Events has in memory and on its way.
type EventLimits struct {
	// Waiting is how many events about Nodes may wait, and again how many of those that are sent
	// before them. Each takes about 80 bytes.
	Waiting int
	// AtOnce is how many are sent at the same time.
	AtOnce int
}

// Events sends what has happened to the API server, and keeps no caller waiting. What is about a
// KataConfig, and every warning, is sent before anything else about Nodes: a large rollout has more
// of those than the limit of requests allows, so they wait, with the time at which they happened.
// It is safe for concurrent use.
type Events struct {
	client     typedcorev1.EventInterface
	limits     EventLimits
	metrics    EventMetrics
	log        logrus.FieldLogger
	now        func() time.Time
	correlator *record.EventCorrelator
	// wakes has something in it when there may be something to send.
	wakes chan struct{}

	mu            sync.Mutex
	first, others queue
}

// fewEvents is how many events the correlator of client-go keeps in each of its three caches, to
// count those that repeat. Its default of 4096 takes 7 MiB in a large rollout, in which none
// repeats.
const fewEvents = 256

// NewEvents returns Events for the namespace of a client. Nodes and KataConfigs have none; events
// about objects without a namespace belong into "default".
func NewEvents(client typedcorev1.EventInterface, limits EventLimits, metrics EventMetrics, log logrus.FieldLogger, now func() time.Time) *Events {
	return &Events{
		client: client, limits: limits, metrics: metrics, log: log, now: now, wakes: make(chan struct{}, 1),
		correlator: record.NewEventCorrelatorWithOptions(record.CorrelatorOptions{LRUCacheSize: fewEvents, SpamKeyFunc: spamKey}),
	}
}

// spamKey is for whose events client-go keeps a budget: 25, and one more every five minutes. By its
// default, all reasons of an object have one together: a rollout, whose reasons alternate, uses it
// up, and its end is no event.
func spamKey(e *corev1.Event) string {
	return e.InvolvedObject.Kind + " " + e.InvolvedObject.Name + " " + string(e.InvolvedObject.UID) + " " + e.Reason
}

// happening is an event that waits. Thousands do in a large rollout, so it is small.
type happening struct {
	// about is nil for a Node, for which its name is enough.
	about           *corev1.ObjectReference
	node            string
	reason, message string
	warns           bool
	// at is in nanoseconds since 1970.
	at int64
}

// queue has what waits in pieces: a long one is not copied while it grows, and is given back while
// it gets shorter. Its zero value is empty.
type queue struct {
	pieces [][]happening
	count  int
}

// piece is how many happenings are kept together.
const piece = 128

func (q *queue) put(h happening) {
	last := len(q.pieces) - 1
	if last < 0 || len(q.pieces[last]) == cap(q.pieces[last]) {
		q.pieces = append(q.pieces, make([]happening, 0, piece))
		last++
	}
	q.pieces[last] = append(q.pieces[last], h)
	q.count++
}

func (q *queue) take() (h happening, found bool) {
	if q.count == 0 {
		return h, false
	}
	h, q.pieces[0] = q.pieces[0][0], q.pieces[0][1:]
	if len(q.pieces[0]) == 0 {
		q.pieces[0], q.pieces = nil, q.pieces[1:]
	}
	q.count--
	return h, true
}

// OfNode is an event of a Node, of kind corev1.EventTypeNormal or corev1.EventTypeWarning.
func (e *Events) OfNode(name, kind, reason, message string) {
	e.add(happening{node: name, warns: kind == corev1.EventTypeWarning, reason: reason, message: message})
}

// OfConfig is an event of a KataConfig.
func (e *Events) OfConfig(kc *v1.KataConfig, kind, reason, message string) {
	about := &corev1.ObjectReference{APIVersion: v1.GroupVersion().String(), Kind: v1.Kind, Name: kc.Name, UID: kc.UID, ResourceVersion: kc.ResourceVersion}
	e.add(happening{about: about, warns: kind == corev1.EventTypeWarning, reason: reason, message: message})
}

func (e *Events) add(h happening) {
	h.at = e.now().UnixNano()
	e.mu.Lock()
	defer e.mu.Unlock()
	into := &e.others
	if h.about != nil || h.warns {
		into = &e.first
	}
	if into.count >= e.limits.Waiting {
		e.metrics.EventEnded(DroppedEvent)
		return
	}
	into.put(h)
	e.changed()
}

// changed notes how many wait, and wakes a sender where there are any. The lock is held.
func (e *Events) changed() {
	waiting := e.first.count + e.others.count
	e.metrics.EventsWait(waiting)
	if waiting == 0 {
		return
	}
	select {
	case e.wakes <- struct{}{}:
	default:
	}
}

// take returns the next one to send.
func (e *Events) take() (h happening, found bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h, found = e.first.take(); !found {
		h, found = e.others.take()
	}
	if found {
		e.changed()
	}
	return h, found
}

// Run sends until the context ends. What waits then is lost.
func (e *Events) Run(ctx context.Context) {
	var senders sync.WaitGroup
	for range e.limits.AtOnce {
		senders.Go(func() {
			for ctx.Err() == nil {
				if h, found := e.take(); found {
					e.metrics.EventEnded(e.send(ctx, h))
					continue
				}
				select {
				case <-ctx.Done():
				case <-e.wakes:
				}
			}
		})
	}
	senders.Wait()
}

// tries are made of an event that did not reach the API server, for about two minutes.
func tries() wait.Backoff {
	return wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 11}
}

// send makes an event, or counts one that is there already.
func (e *Events) send(ctx context.Context, h happening) EventResult {
	correlated, err := e.correlator.EventCorrelate(h.event())
	switch {
	case err != nil:
		e.log.WithError(err).Warnf("Counting an event")
		return DroppedEvent
	case correlated.Skip:
		return DroppedEvent
	}
	var last error
	err = wait.ExponentialBackoffWithContext(ctx, tries(), func(ctx context.Context) (bool, error) {
		made, err := e.write(ctx, correlated)
		switch last = err; {
		case err == nil:
			e.correlator.UpdateState(made)
			return true, nil
		case apierrors.IsAlreadyExists(err): // The answer to an earlier try was lost.
			return true, nil
		case mayPass(err):
			return false, nil
		default:
			return false, err
		}
	})
	switch {
	case err == nil:
		return SentEvent
	case ctx.Err() == nil:
		e.log.WithError(last).WithField("event", h.reason).Warnf("An event could not be written")
	}
	return RefusedEvent
}

func (e *Events) write(ctx context.Context, c *record.EventCorrelateResult) (*corev1.Event, error) {
	if c.Event.Count > 1 {
		counted, err := e.client.Patch(ctx, c.Event.Name, types.StrategicMergePatchType, c.Patch, metav1.PatchOptions{})
		if !apierrors.IsNotFound(err) {
			return counted, err
		}
	}
	c.Event.ResourceVersion = ""
	return e.client.Create(ctx, c.Event, metav1.CreateOptions{})
}

// mayPass is true for an error that a later try may not meet: no answer, or one of an API server
// that is busy.
func mayPass(err error) bool {
	var status apierrors.APIStatus
	return !errors.As(err, &status) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsInternalError(err)
}

// event names a Node as events about nodes do: by its name in place of its UID, which is how
// kubectl describe finds them. The name of the event is the same at every try.
func (h happening) event() *corev1.Event {
	about := corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: h.node, UID: types.UID(h.node)}
	if h.about != nil {
		about = *h.about
	}
	kind, at := corev1.EventTypeNormal, metav1.NewTime(time.Unix(0, h.at))
	if h.warns {
		kind = corev1.EventTypeWarning
	}
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: util.GenerateEventName(about.Name, h.at), Namespace: metav1.NamespaceDefault},
		InvolvedObject: about,
		Type:           kind, Reason: h.reason, Message: h.message,
		Source: corev1.EventSource{Component: component}, ReportingController: component,
		FirstTimestamp: at, LastTimestamp: at, Count: 1,
	}
}
