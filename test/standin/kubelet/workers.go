// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	listers "k8s.io/client-go/listers/node/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/kata-node/kata-node/test/standin/kubelet/sandbox"
)

// parallel is how many pods are worked on at once; a runtime that hangs on a few must not hold up
// the rest.
const parallel = 16

// workers bring the sandboxes of pods in line with the book, one worker per pod UID at a time.
type workers struct {
	Options
	book    *book
	classes listers.RuntimeClassLister
	queue   workqueue.TypedDelayingInterface[types.UID]
}

func newWorkers(options Options, known *book, classes listers.RuntimeClassLister) *workers {
	return &workers{Options: options, book: known, classes: classes, queue: workqueue.NewTypedDelayingQueue[types.UID]()}
}

// events admits every pod at its first sight, in the informer's own goroutine, and hands it to a
// worker.
func (w *workers) events(ctx context.Context, gate *gate) cache.ResourceEventHandler {
	added := func(pod *corev1.Pod) {
		w.book.add(pod, gate.judge(ctx, pod))
		w.queue.Add(pod.UID)
	}
	removed := func(pod *corev1.Pod) {
		w.book.remove(pod.UID)
		w.queue.Add(pod.UID)
	}
	updated := func(old, pod *corev1.Pod) {
		if old.UID != pod.UID { // deleted and made again between two listings
			removed(old)
			added(pod)
			return
		}
		if w.book.update(pod) {
			w.queue.Add(pod.UID)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { onPod(object, added) },
		UpdateFunc: func(old, object any) {
			onPod(old, func(o *corev1.Pod) { onPod(object, func(p *corev1.Pod) { updated(o, p) }) })
		},
		DeleteFunc: func(object any) { onPod(object, removed) },
	}
}

func onPod(object any, do func(*corev1.Pod)) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if pod, ok := object.(*corev1.Pod); ok {
		do(pod)
	}
}

func (w *workers) run(ctx context.Context) {
	var all sync.WaitGroup
	for range parallel {
		all.Go(func() {
			for w.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	w.queue.ShutDown()
	all.Wait()
}

func (w *workers) next(ctx context.Context) bool {
	uid, over := w.queue.Get()
	if over || ctx.Err() != nil {
		return false
	}
	defer w.queue.Done(uid)
	if err := w.sync(ctx, uid); err != nil {
		w.Log.WithField("uid", uid).WithError(err).Warn("syncing a pod")
		w.queue.AddAfter(uid, wait.Jitter(w.Periods.Retry, 0.5))
		return true
	}
	if w.book.knows(uid) {
		w.queue.AddAfter(uid, wait.Jitter(w.Periods.Resync, 0.5))
	}
	return true
}

// relist wakes the workers of pods whose sandboxes changed, and in its slower rhythm those of
// sandboxes that belong to no pod of this node.
func (w *workers) relist(ctx context.Context) {
	var before sandbox.Picture
	var both sync.WaitGroup
	changed := func(now sandbox.Picture) []types.UID {
		defer func() { before = now }()
		return slices.DeleteFunc(sandbox.Changed(before, now), func(uid types.UID) bool { return !w.book.knows(uid) })
	}
	unknown := func(now sandbox.Picture) []types.UID { return now.Unknown(w.book.knows) }
	both.Go(func() { every(ctx, w.Periods.Relist, func(ctx context.Context) { w.look(ctx, changed) }) })
	both.Go(func() { every(ctx, w.Periods.Housekeeping, func(ctx context.Context) { w.look(ctx, unknown) }) })
	both.Wait()
}

func (w *workers) look(ctx context.Context, pick func(sandbox.Picture) []types.UID) {
	all, err := w.Runtime.List(ctx)
	if err != nil {
		w.Log.WithError(err).Warn("looking for sandboxes")
		return
	}
	for _, uid := range pick(sandbox.Observe(all)) {
		w.queue.Add(uid)
	}
}
