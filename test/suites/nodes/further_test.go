// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// rs is the RuntimeClass, and the handler, of further handler rs.
const rs = node.Handler + "-rs"

// No other test of this suite names a further handler, so that the class selects this node alone.
func TestAFurtherHandlerRunsPodsWhileItIsNamed(t *testing.T) {
	t.Parallel()
	s := newSubject(t, "further")
	s.install()
	require.True(t, apierrors.IsForbidden(s.schedule("early", rs)), "there is no such class")

	s.change("handlers", []string{"rs"})
	s.awaitCompleted()
	s.assertCRIOStarts(2)
	assert.Contains(t, s.run("/usr/libexec/kata-agent/kata-node-agent", "status"), "kata-oc-rs wanted and proved")
	require.NoError(t, s.schedule("rs", rs))
	s.awaitPod("rs")
	s.runPod("main")
	inUse := []string{"", node.Handler, rs} // The ordinary pod has none.
	assert.Equal(t, inUse, s.handlersInUse())

	s.change("handlers", nil)
	s.awaitCompleted()
	require.NoError(t, s.schedule("late", rs))
	s.awaitUnschedulable("late")
	s.endPod("late")
	s.restartKubelet()
	assert.Equal(t, inUse, s.handlersInUse(), "pods that run stay")

	s.endPod("main")
	s.unwantSoon()
	s.awaitBlocked()
	s.endPod("rs")
	s.awaitUnwanted()
	s.assertClean()
	object, err := s.node.Object(t.Context())
	require.NoError(t, err)
	assert.NotContains(t, object.Labels, node.FurtherLabel("rs"))
	s.bindPodOf("after", rs)
	s.awaitRefusal("after", notServed)
	s.assertCRIOStarts(2)
}

// schedule creates a pod for which the scheduler chooses the node.
func (s *subject) schedule(name, class string) error {
	s.t.Helper()
	return s.cluster.RunPod(s.t.Context(), s.pod(name), "", class)
}

// awaitUnschedulable waits until the scheduler has found no node for a pod.
func (s *subject) awaitUnschedulable(name string) {
	s.t.Helper()
	s.await("no node takes pod "+name, func(ctx context.Context) error {
		pod, err := s.cluster.Kube.CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, s.pod(name), metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonUnschedulable {
				return nil
			}
		}
		return fmt.Errorf("its status is %+v", pod.Status)
	})
}

// handlersInUse are the handlers of the sandboxes that run on the node, sorted, as CRI-O has them.
func (s *subject) handlersInUse() (handlers []string) {
	s.t.Helper()
	ready := &runtimeapi.PodSandboxFilter{State: &runtimeapi.PodSandboxStateValue{State: runtimeapi.PodSandboxState_SANDBOX_READY}}
	s.crio(func(ctx context.Context, client cri.RuntimeService) error {
		all, err := client.ListPodSandbox(ctx, ready)
		if err != nil {
			return err
		}
		for _, sandbox := range all {
			status, err := client.PodSandboxStatus(ctx, sandbox.GetId(), true)
			if err != nil {
				return err
			}
			var info struct {
				RuntimeSpec struct{ Annotations map[string]string }
			}
			if err := json.Unmarshal([]byte(status.GetInfo()["info"]), &info); err != nil {
				return err
			}
			handlers = append(handlers, info.RuntimeSpec.Annotations["io.kubernetes.cri-o.RuntimeHandler"])
		}
		return nil
	})
	slices.Sort(handlers)
	return handlers
}
