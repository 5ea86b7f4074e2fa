// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/podstatus"
)

// writeTimeout bounds one status write, so that an absent API server does not hold up sandboxes.
const writeTimeout = 10 * time.Second

func (w *workers) writeRunning(ctx context.Context, pod *corev1.Pod, serving *cri.PodSandbox) error {
	by := podstatus.Sandbox{Attempt: serving.GetMetadata().GetAttempt(), Created: time.Unix(0, serving.GetCreatedAt())}
	return w.write(ctx, pod, func(pod *corev1.Pod) corev1.PodStatus { return podstatus.Running(pod, by, w.Machine.IP, time.Now()) })
}

// writeWaiting is for information only: the pod's sandbox does not wait for the API server.
func (w *workers) writeWaiting(ctx context.Context, pod *corev1.Pod, message string) {
	err := w.write(ctx, pod, func(pod *corev1.Pod) corev1.PodStatus { return podstatus.Waiting(pod, message, time.Now()) })
	if err != nil {
		w.Log.WithError(err).Warn("writing that a pod waits")
	}
}

// write computes a pod's status from its newest object and patches the difference. A pod that is
// gone or was made again under its name is left alone.
func (w *workers) write(ctx context.Context, pod *corev1.Pod, status func(*corev1.Pod) corev1.PodStatus) error {
	if equality.Semantic.DeepEqual(pod.Status, status(pod)) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	newest, err := w.Client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && newest.UID != pod.UID {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	patch, err := statusPatch(newest, status(newest))
	if err != nil || patch == nil {
		return err
	}
	_, err = w.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("writing the status of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

// statusPatch is nil when nothing differs; it names the UID, so it cannot hit another pod of the
// same name.
func statusPatch(pod *corev1.Pod, status corev1.PodStatus) ([]byte, error) {
	if equality.Semantic.DeepEqual(pod.Status, status) {
		return nil, nil
	}
	before, err := json.Marshal(corev1.Pod{Status: pod.Status})
	if err != nil {
		return nil, fmt.Errorf("encoding a pod's old status: %w", err)
	}
	after, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: pod.UID}, Status: status})
	if err != nil {
		return nil, fmt.Errorf("encoding a pod's new status: %w", err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("comparing a pod's old and new status: %w", err)
	}
	return patch, nil
}
