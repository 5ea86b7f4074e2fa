// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kata-node/kata-node/test/standin/kubelet/admit"
)

// entry is one pod as last seen, with the verdict of its one admission.
type entry struct {
	pod       *corev1.Pod
	rejection *admit.Rejection
}

// book holds the pods that the API server has bound to this node; a pod is in it from its first
// sight until its object is gone.
type book struct {
	mu   sync.Mutex
	pods map[types.UID]entry
}

func newBook() *book { return &book{pods: map[types.UID]entry{}} }

func (b *book) add(pod *corev1.Pod, rejection *admit.Rejection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pods[pod.UID] = entry{pod: pod, rejection: rejection}
}

// update keeps the verdict and reports whether there is something new to act upon; the kubelet's
// own writes to a status are not.
func (b *book) update(pod *corev1.Pod) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.pods[pod.UID]
	b.pods[pod.UID] = entry{pod: pod, rejection: old.rejection}
	return old.pod == nil || actionable(old.pod, pod)
}

func (b *book) remove(uid types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pods, uid)
}

func (b *book) get(uid types.UID) (entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, known := b.pods[uid]
	return found, known
}

func (b *book) knows(uid types.UID) bool {
	_, known := b.get(uid)
	return known
}

// actionable compares what a kubelet reacts to at once; everything else waits for the next resync.
func actionable(old, pod *corev1.Pod) bool {
	return !equality.Semantic.DeepEqual(old.DeletionTimestamp, pod.DeletionTimestamp) ||
		!equality.Semantic.DeepEqual(old.Spec, pod.Spec) ||
		!equality.Semantic.DeepEqual(old.Labels, pod.Labels) ||
		!equality.Semantic.DeepEqual(old.Annotations, pod.Annotations)
}
