// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kata-node/kata-node/api/node"
	katav1 "github.com/kata-node/kata-node/api/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	watchtools "k8s.io/client-go/tools/watch"
)

// SampleName is the KataConfig of the original proposal, and SampleLabel what it selects.
const (
	SampleName = "install-kata-1.0"
	labelKey   = "install-kata"
	labelValue = "kata-1.0"
	workerRole = "node-role.kubernetes.io/worker"
)

func (s *Stage) kataConfigs() dynamic.ResourceInterface {
	return s.Dynamic.Resource(schema.GroupVersionResource{Group: "kataconfiguration.openshift.io", Version: "v1", Resource: "kataconfigs"})
}

// ApplySample applies the proposal's sample, unchanged.
func (s *Stage) ApplySample(ctx context.Context) error {
	return s.Apply(ctx, s.workspace.Path("deploy", "samples", "kataconfig.yaml"))
}

// Select makes a node a worker that the sample selects.
func (s *Stage) Select(ctx context.Context, name string) error {
	role, value := "", labelValue
	return s.LabelNode(ctx, name, map[string]*string{workerRole: &role, labelKey: &value})
}

// SetPayload names a payload in the sample's spec.
func (s *Stage) SetPayload(ctx context.Context, image string) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"config": map[string]any{"payloadImage": image}}})
	if err != nil {
		return err
	}
	_, err = s.kataConfigs().Patch(ctx, SampleName, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// DeleteSample deletes the KataConfig, whose finalizer keeps it until every node is clean.
func (s *Stage) DeleteSample(ctx context.Context) error {
	return s.kataConfigs().Delete(ctx, SampleName, metav1.DeleteOptions{})
}

// AwaitConfig watches the sample until it is as wanted. wanted is given every state on the way.
func (s *Stage) AwaitConfig(ctx context.Context, what string, wanted func(katav1.KataConfig) bool) (katav1.KataConfig, error) {
	var last katav1.KataConfig
	current, err := s.kataConfigs().Get(ctx, SampleName, metav1.GetOptions{})
	if err != nil {
		return last, fmt.Errorf("waiting until KataConfig %s: %w", what, err)
	}
	check := func(o *unstructured.Unstructured) (bool, error) {
		last = katav1.KataConfig{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &last); err != nil {
			return false, err
		}
		return wanted(last), nil
	}
	if ok, err := check(current); ok || err != nil {
		return last, err
	}
	_, err = watchtools.Until(ctx, current.GetResourceVersion(), watcher{s.kataConfigs()}, func(e watch.Event) (bool, error) {
		o, isObject := e.Object.(*unstructured.Unstructured)
		if !isObject || e.Type == watch.Deleted {
			return false, fmt.Errorf("KataConfig went away: %s", e.Type)
		}
		return check(o)
	})
	if err != nil {
		return last, fmt.Errorf("waiting until KataConfig %s: %w; its status is %+v", what, err, last.Status)
	}
	return last, nil
}

// AwaitGone waits until the sample is gone.
func (s *Stage) AwaitGone(ctx context.Context) error {
	current, err := s.kataConfigs().Get(ctx, SampleName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = watchtools.Until(ctx, current.GetResourceVersion(), watcher{s.kataConfigs()}, func(e watch.Event) (bool, error) {
		return e.Type == watch.Deleted, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until the KataConfig is gone: %w", err)
	}
	return nil
}

type watcher struct{ from dynamic.ResourceInterface }

// Watch watches the sample alone.
func (w watcher) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return w.WatchWithContext(context.Background(), o)
}

// WatchWithContext watches the sample alone.
func (w watcher) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.FieldSelector = "metadata.name=" + SampleName
	return w.from.Watch(ctx, o)
}

// Completed is a KataConfig of which so many nodes are completed, and that says so.
func Completed(nodes int) func(katav1.KataConfig) bool {
	return func(k katav1.KataConfig) bool {
		return int(k.Status.CompletedNodesCount) == nodes && k.Status.ObservedGeneration == k.Generation &&
			meta.IsStatusConditionTrue(k.Status.Conditions, "KataStatusCompleted")
	}
}

// RunPod creates a kata pod on a node, which no scheduler chose.
func (s *Stage) RunPod(ctx context.Context, name, onNode string) error {
	class, automount := node.RuntimeClass, false
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceDefault},
		Spec: corev1.PodSpec{
			RuntimeClassName: &class, NodeName: onNode, AutomountServiceAccountToken: &automount,
			Containers: []corev1.Container{{Name: "main", Image: "registry.kata.test/example:1"}},
		},
	}
	if _, err := s.Kube.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating pod %s: %w", name, err)
	}
	return nil
}

// AwaitPod waits until a pod is as wanted.
func (s *Stage) AwaitPod(ctx context.Context, name, what string, wanted func(*corev1.Pod) bool) (*corev1.Pod, error) {
	pods := s.Kube.CoreV1().Pods(metav1.NamespaceDefault)
	current, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err != nil || wanted(current) {
		return current, err
	}
	stream, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name, ResourceVersion: current.ResourceVersion})
	if err != nil {
		return nil, err
	}
	defer stream.Stop()
	_, err = watchtools.UntilWithoutRetry(ctx, stream, func(e watch.Event) (bool, error) {
		p, ok := e.Object.(*corev1.Pod)
		if ok {
			current = p
		}
		return ok && wanted(p), nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting until pod %s %s: %w; its status is %+v", name, what, err, current.Status)
	}
	return current, nil
}

// Running is a pod that runs.
func Running(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }

// EndPod deletes a pod and waits until the kubelet has let it go.
func (s *Stage) EndPod(ctx context.Context, name string) error {
	pods := s.Kube.CoreV1().Pods(metav1.NamespaceDefault)
	stream, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return err
	}
	defer stream.Stop()
	if err := pods.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting pod %s: %w", name, err)
	}
	_, err = watchtools.UntilWithoutRetry(ctx, stream, func(e watch.Event) (bool, error) { return e.Type == watch.Deleted, nil })
	if err != nil {
		return fmt.Errorf("waiting until pod %s is gone: %w", name, err)
	}
	return nil
}
