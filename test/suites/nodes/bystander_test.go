// SPDX-License-Identifier: Apache-2.0

package nodes_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// bystander is an ordinary pod that nothing may disturb: its container, and the boot in which that
// was started. Its zero value is none.
type bystander struct{ container, boot string }

const bystanderName = "bystander"

// runBystander runs it.
func (s *subject) runBystander() {
	s.t.Helper()
	s.bindOrdinaryPod(bystanderName)
	s.awaitPod(bystanderName)
	status, err := s.container(s.t.Context(), bystanderName)
	require.NoError(s.t, err)
	require.NotEmpty(s.t, status.ContainerID)
	s.bystander = bystander{status.ContainerID, s.bootID()}
}

// assertUndisturbed makes sure that the bystander has run on, unless the node was rebooted.
func (s *subject) assertUndisturbed(ctx context.Context) {
	s.t.Helper()
	if s.bystander == (bystander{}) {
		return
	}
	boot, err := s.node.BootID(ctx)
	if err == nil && boot != s.bystander.boot {
		return
	}
	status, failed := s.container(ctx, bystanderName)
	if assert.NoError(s.t, errors.Join(err, failed)) {
		assert.Equal(s.t, s.bystander.container, status.ContainerID, "the ordinary pod runs on")
		assert.Zero(s.t, status.RestartCount)
		assert.NotNil(s.t, status.State.Running, "%+v", status.State)
	}
}

// container is the status of a pod's only container.
func (s *subject) container(ctx context.Context, name string) (corev1.ContainerStatus, error) {
	pod, err := s.cluster.Kube.CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, s.pod(name), metav1.GetOptions{})
	if err != nil {
		return corev1.ContainerStatus{}, err
	}
	if len(pod.Status.ContainerStatuses) != 1 {
		return corev1.ContainerStatus{}, fmt.Errorf("pod %s has %d containers: %+v", name, len(pod.Status.ContainerStatuses), pod.Status)
	}
	return pod.Status.ContainerStatuses[0], nil
}
