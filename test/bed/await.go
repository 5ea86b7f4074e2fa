// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// AwaitNode watches a Node object until it is there and as wanted, and returns it.
func (c *Cluster) AwaitNode(ctx context.Context, name, what string, wanted func(*corev1.Node) bool) (*corev1.Node, error) {
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	source := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "nodes", "", fields.OneTermEqualSelector("metadata.name", name))
	var last *corev1.Node
	_, err = watchtools.UntilWithSync(ctx, source, &corev1.Node{}, nil, func(event watch.Event) (bool, error) {
		node, ok := event.Object.(*corev1.Node)
		if !ok || event.Type == watch.Deleted {
			return false, nil
		}
		last = node
		return wanted(node), nil
	})
	if err != nil {
		return last, fmt.Errorf("waiting until node %q %s: %w; it was %s", name, what, err, describe(last))
	}
	return last, nil
}

// NodeReady is true for a Node whose kubelet says that it is ready.
func NodeReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// LabelNode sets labels of a Node as the administrator; a label with value nil is removed.
func (c *Cluster) LabelNode(ctx context.Context, name string, labels map[string]*string) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	if _, err := client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("labelling node %q: %w", name, err)
	}
	return nil
}

// describe is what a person wants to see of a Node that is not as wanted.
func describe(node *corev1.Node) string {
	if node == nil {
		return "not there"
	}
	text, err := json.MarshalIndent(map[string]any{
		"labels": node.Labels, "annotations": node.Annotations, "conditions": node.Status.Conditions,
	}, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}
