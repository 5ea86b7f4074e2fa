// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kata-node/kata-node/test/standin/kubelet/podstatus"
	"github.com/kata-node/kata-node/test/standin/kubelet/sandbox"
)

// failedCreate is the reason of the kubelet's event about a sandbox that did not start.
const failedCreate = "FailedCreatePodSandBox"

// sync brings one pod in line: a live one gets its sandbox, of everything else nothing stays, known
// or not.
func (w *workers) sync(ctx context.Context, uid types.UID) error {
	known, ok := w.book.get(uid)
	own, err := w.own(ctx, uid)
	switch {
	case err != nil:
		return err
	case !ok:
		return w.endUnknown(ctx, uid, own)
	case known.rejection != nil:
		return w.reject(ctx, known, own)
	case known.pod.DeletionTimestamp != nil || podstatus.Final(known.pod):
		return w.finish(ctx, known.pod, own)
	default:
		return w.serve(ctx, known.pod, own)
	}
}

func (w *workers) own(ctx context.Context, uid types.UID) ([]*cri.PodSandbox, error) {
	all, err := w.Runtime.List(ctx)
	return sandbox.OfPod(all, uid), err
}

func (w *workers) endUnknown(ctx context.Context, uid types.UID, own []*cri.PodSandbox) error {
	for _, s := range own {
		w.Log.WithField("uid", uid).WithField("sandbox", s.GetId()).Infof("ending a sandbox of unknown pod %s/%s", s.GetMetadata().GetNamespace(), s.GetMetadata().GetName())
	}
	return w.end(ctx, own)
}

// reject writes the verdict before the sandboxes go, as the kubelet does, so that no one sees a
// rejected pod as merely restarting.
func (w *workers) reject(ctx context.Context, known entry, own []*cri.PodSandbox) error {
	var err error
	if !podstatus.Final(known.pod) {
		err = w.write(ctx, known.pod, func(pod *corev1.Pod) corev1.PodStatus {
			return podstatus.Rejected(pod, known.rejection.Reason, known.rejection.Message, time.Now())
		})
	}
	return errors.Join(err, w.finish(ctx, known.pod, own))
}

// finish ends a pod's sandboxes and then, when its deletion was asked for, lets its object go.
func (w *workers) finish(ctx context.Context, pod *corev1.Pod, own []*cri.PodSandbox) error {
	if err := w.end(ctx, own); err != nil || pod.DeletionTimestamp == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))}
	err := w.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, now)
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("deleting pod %s/%s: %w", pod.Namespace, pod.Name, err)
}

// end stops the sandboxes, and lets a runtime that cannot remove one again keep it: nothing waits
// for the kubelet's garbage collection.
func (w *workers) end(ctx context.Context, own []*cri.PodSandbox) error {
	plan := sandbox.ForGone(own)
	if err := w.stop(ctx, plan.Stop); err != nil {
		return err
	}
	if err := w.remove(ctx, plan.Remove); err != nil {
		w.Log.WithError(err).Warn("removing sandboxes")
	}
	return nil
}

// serve makes sure that exactly one ready sandbox stands behind the pod, and says so in its status.
func (w *workers) serve(ctx context.Context, pod *corev1.Pod, own []*cri.PodSandbox) error {
	plan := sandbox.ForRunning(pod, own)
	if err := w.stop(ctx, plan.Stop); err != nil {
		return err
	}
	if plan.Over {
		return w.write(ctx, pod, func(pod *corev1.Pod) corev1.PodStatus { return podstatus.Died(pod, time.Now()) })
	}
	serving := plan.Keep
	if plan.Create {
		var err error
		if serving, err = w.create(ctx, pod, plan.Attempt); err != nil {
			return err
		}
	}
	if err := w.remove(ctx, plan.Remove); err != nil {
		w.Log.WithError(err).Warn("removing sandboxes")
	}
	return w.writeRunning(ctx, pod, serving)
}

func (w *workers) create(ctx context.Context, pod *corev1.Pod, attempt uint32) (*cri.PodSandbox, error) {
	w.writeWaiting(ctx, pod, podstatus.WaitingMessage(pod))
	handler, err := w.handler(pod)
	if err != nil {
		return nil, w.failed(ctx, pod, err)
	}
	id, err := w.Runtime.Run(ctx, sandbox.Config(pod, attempt), handler)
	if err != nil {
		return nil, w.failed(ctx, pod, err)
	}
	w.Log.WithField("pod", pod.Namespace+"/"+pod.Name).WithField("sandbox", id).WithField("attempt", attempt).Infof("sandbox started under handler %q", handler)
	return w.find(ctx, pod.UID, id)
}

// handler looks up the pod's RuntimeClass; a pod without one gets the runtime's default.
func (w *workers) handler(pod *corev1.Pod) (string, error) {
	if pod.Spec.RuntimeClassName == nil || *pod.Spec.RuntimeClassName == "" {
		return "", nil
	}
	class, err := w.classes.Get(*pod.Spec.RuntimeClassName)
	if err != nil {
		return "", err
	}
	return class.Handler, nil
}

// failed tells the pod's owner, by event and status, in the runtime's own words. It keeps silent
// when the pod or the kubelet ended meanwhile.
func (w *workers) failed(ctx context.Context, pod *corev1.Pod, cause error) error {
	if now, known := w.book.get(pod.UID); ctx.Err() == nil && known && now.pod.DeletionTimestamp == nil {
		w.Events.Eventf(pod, corev1.EventTypeWarning, failedCreate, "Failed to create pod sandbox: %v", cause)
		w.writeWaiting(ctx, pod, cause.Error())
	}
	return fmt.Errorf("creating a sandbox for pod %s/%s: %w", pod.Namespace, pod.Name, cause)
}

func (w *workers) find(ctx context.Context, uid types.UID, id string) (*cri.PodSandbox, error) {
	own, err := w.own(ctx, uid)
	if err != nil {
		return nil, err
	}
	for _, s := range own {
		if s.GetId() == id && s.GetState() == cri.PodSandboxState_SANDBOX_READY {
			return s, nil
		}
	}
	return nil, fmt.Errorf("sandbox %s ended as soon as it had started", id)
}

func (w *workers) stop(ctx context.Context, ids []string) error {
	var errs []error
	for _, id := range ids {
		errs = append(errs, w.Runtime.Stop(ctx, id))
	}
	return errors.Join(errs...)
}

func (w *workers) remove(ctx context.Context, ids []string) error {
	var errs []error
	for _, id := range ids {
		errs = append(errs, w.Runtime.Remove(ctx, id))
	}
	return errors.Join(errs...)
}
