// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func convert(object *unstructured.Unstructured) (*v1.KataConfig, error) {
	var kc v1.KataConfig
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &kc, true)
	return &kc, err
}

// awaitCounts waits for "completed/in progress/waiting/failed of total" and the reason of
// KataStatusCompleted.
func (c *cluster) awaitCounts(t *testing.T, name, want string) *v1.KataConfig {
	t.Helper()
	var last *v1.KataConfig
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		kc, err := c.get(ctx, name)
		require.NoError(t, err)
		require.NotNil(t, kc)
		last = kc
		assert.Equal(t, want, counts(kc))
		assert.Equal(t, kc.Generation, kc.Status.ObservedGeneration)
	})
	return last
}

func counts(kc *v1.KataConfig) string {
	s := kc.Status
	reason := "-"
	if c := meta.FindStatusCondition(s.Conditions, v1.ConditionCompleted); c != nil {
		reason = c.Reason
	}
	return fmt.Sprintf("%d/%d/%d/%d of %d %s", s.CompletedNodesCount, s.InProgressNodesCount, s.WaitingNodesCount, s.FailedNodesCount, s.TotalNodesCount, reason)
}

// awaitGone waits until the KataConfig and the RuntimeClass are gone.
func (c *cluster) awaitGone(t *testing.T, name string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		kc, err := c.get(ctx, name)
		require.NoError(t, err)
		assert.Nil(t, kc)
	})
}

// runtimeClass waits for the class and checks its selector; an empty key means that there is no
// class.
func (c *cluster) awaitRuntimeClass(t *testing.T, key string) {
	t.Helper()
	eventually(t, func(t *assert.CollectT, ctx context.Context) {
		class, err := c.kube.NodeV1().RuntimeClasses().Get(ctx, node.RuntimeClass, metav1.GetOptions{})
		if key == "" {
			assert.True(t, apierrors.IsNotFound(err), "%v", err)
			return
		}
		if assert.NoError(t, err) && assert.NotNil(t, class.Scheduling) {
			assert.Contains(t, class.Scheduling.NodeSelector, key)
		}
	})
}

func crdResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}
