// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (s *subject) pod(name string) string { return s.name + "-" + name }

// runPod runs a new kata pod on the node.
func (s *subject) runPod(name string) {
	s.t.Helper()
	s.bindPod(name)
	s.awaitPod(name)
}

// bindPod creates a kata pod that is bound to the node.
func (s *subject) bindPod(name string) { s.bind(name, node.RuntimeClass) }

// bindOrdinaryPod creates a pod that knows nothing of Kata.
func (s *subject) bindOrdinaryPod(name string) { s.bind(name, "") }

// bindAliasPod creates a pod of another RuntimeClass with our handler.
func (s *subject) bindAliasPod(name string) {
	s.t.Helper()
	s.bindPodOf(name, node.Handler)
}

// bindPodOf creates a pod of another RuntimeClass with a handler of ours.
func (s *subject) bindPodOf(name, handler string) {
	s.t.Helper()
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: s.name + "-alias"}, Handler: handler}
	_, err := s.cluster.Kube.NodeV1().RuntimeClasses().Create(s.t.Context(), class, metav1.CreateOptions{})
	require.NoError(s.t, err)
	s.bind(name, class.Name)
}

func (s *subject) bind(name, class string) {
	s.t.Helper()
	require.NoError(s.t, s.cluster.RunPod(s.t.Context(), s.pod(name), s.name, class))
}

func (s *subject) awaitPod(name string) {
	s.t.Helper()
	s.await("pod "+name+" runs", func(ctx context.Context) error {
		pod, err := s.cluster.Kube.CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, s.pod(name), metav1.GetOptions{})
		if err == nil && pod.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("its status is %+v", pod.Status)
		}
		return err
	})
}

func (s *subject) endPod(name string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.cluster.EndPod(ctx, s.pod(name)))
}

// awaitRefusal waits for the kubelet's event that a pod's sandbox does not start, in these words.
func (s *subject) awaitRefusal(name, words string) {
	s.t.Helper()
	s.await("pod "+name+" has the reason why it does not start", func(ctx context.Context) error {
		events, err := s.cluster.Kube.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{
			FieldSelector: "reason=FailedCreatePodSandBox,involvedObject.name=" + s.pod(name),
		})
		if err != nil {
			return err
		}
		var messages []string
		for _, e := range events.Items {
			if strings.Contains(e.Message, words) {
				return nil
			}
			messages = append(messages, e.Message)
		}
		return errors.New("events: " + strings.Join(messages, "; "))
	})
}

// onlyShim is the process id of the node's only shim, once those of proofs have ended.
func (s *subject) onlyShim() int {
	s.t.Helper()
	return s.awaitShims(1)[0]
}
