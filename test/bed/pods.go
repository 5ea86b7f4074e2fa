// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/remotecommand"
	watchtools "k8s.io/client-go/tools/watch"
)

// AwaitPodOf watches the pods of the default namespace with the label app until one of them is as
// wanted, and returns it.
func (c *Cluster) AwaitPodOf(ctx context.Context, app, what string, wanted func(*corev1.Pod) bool) (*corev1.Pod, error) {
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	source := cache.NewFilteredListWatchFromClient(client.CoreV1().RESTClient(), "pods", metav1.NamespaceDefault,
		func(options *metav1.ListOptions) { options.LabelSelector = "app=" + app })
	var last *corev1.Pod
	_, err = watchtools.UntilWithSync(ctx, source, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok || event.Type == watch.Deleted {
			return false, nil
		}
		last = pod
		return wanted(pod), nil
	})
	if err != nil {
		return last, fmt.Errorf("waiting until a pod of %s %s: %w; the last one seen was %s", app, what, err, describePod(last))
	}
	return last, nil
}

// AwaitReady waits until so many pods with the label app are ready, and returns them.
func (c *Cluster) AwaitReady(ctx context.Context, app string, count int) ([]corev1.Pod, error) {
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	var last []corev1.Pod
	err = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		pods, err := client.CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			return false, err
		}
		last = pods.Items
		ready := 0
		for i := range last {
			if PodReady(&last[i]) {
				ready++
			}
		}
		return ready == count && len(last) == count, nil
	})
	if err != nil {
		var seen []string
		for i := range last {
			seen = append(seen, describePod(&last[i]))
		}
		return nil, fmt.Errorf("waiting until %d pods of %s are ready: %w; they are %s", count, app, err, strings.Join(seen, ", "))
	}
	return last, nil
}

// awaitNoPodOf waits until no pod with the label app is left, and their kubelets have let them go.
func (c *Cluster) awaitNoPodOf(ctx context.Context, app string) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	err = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		pods, err := client.CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		return err == nil && len(pods.Items) == 0, err
	})
	if err != nil {
		return fmt.Errorf("waiting until the pods of %s are gone: %w", app, err)
	}
	return nil
}

// PodReady is true for a pod whose kubelet says that it is ready.
func PodReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// ExecPod runs a command in the first container of a pod, through the API server, and returns its
// stdout.
func (c *Cluster) ExecPod(ctx context.Context, pod *corev1.Pod, args ...string) ([]byte, error) {
	config, err := c.Admin()
	if err != nil {
		return nil, err
	}
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	request := client.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: args, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(config, "GET", request.URL().String())
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}); err != nil {
		return stdout.Bytes(), fmt.Errorf("running %q in pod %s: %w: %s", strings.Join(args, " "), pod.Name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// PodLog returns what the first container of a pod has written, through the API server.
func (c *Cluster) PodLog(ctx context.Context, pod *corev1.Pod) ([]byte, error) {
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	log, err := client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil {
		return log, fmt.Errorf("reading log of pod %s: %w", pod.Name, err)
	}
	return log, nil
}

// Containers says which containers a pod has, and how often each has been restarted.
func Containers(pod *corev1.Pod) []string {
	var found []string
	for _, status := range pod.Status.ContainerStatuses {
		found = append(found, fmt.Sprintf("%s, %d restarts", status.ContainerID, status.RestartCount))
	}
	return found
}

// describePod is what a person wants to see of a pod that is not as wanted.
func describePod(pod *corev1.Pod) string {
	if pod == nil {
		return "not there"
	}
	text, err := json.MarshalIndent(map[string]any{"name": pod.Name, "node": pod.Spec.NodeName, "status": pod.Status}, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}
