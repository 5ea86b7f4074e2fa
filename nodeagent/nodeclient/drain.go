// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	conflict "k8s.io/client-go/util/retry"

	"github.com/kata-node/kata-node/api/node"
	"github.com/kata-node/kata-node/nodeagent/cluster"
)

// Cordon marks the Node in the same write, of the version that was seen to be schedulable and to
// have the grant: what the agent did not do it never undoes, however it ends, and a grant that was
// taken back is not used, however late the watch is.
func (c *Client) Cordon(ctx context.Context, boot string) error {
	return c.change(ctx, "cordoning", func(n *corev1.Node) (map[string]any, error) {
		if n.Spec.Unschedulable {
			return nil, nil //nolint:nilnil // nothing to change is an answer
		}
		intent, err := node.DecodeIntent(n.Annotations[node.IntentAnnotation])
		if err != nil {
			return nil, err
		}
		if intent.Grants.Reboot != boot {
			return nil, errors.New("the grant of its reboot was taken back")
		}
		return patchOfSpec(n, boot, true), nil
	})
}

// Uncordon leaves a Node alone that does not carry the mark.
func (c *Client) Uncordon(ctx context.Context) error {
	return c.change(ctx, "uncordoning", func(n *corev1.Node) (map[string]any, error) {
		if n.Annotations[node.CordonAnnotation] == "" {
			return nil, nil //nolint:nilnil // nothing to change is an answer
		}
		return patchOfSpec(n, nil, nil), nil
	})
}

func patchOfSpec(n *corev1.Node, mark, unschedulable any) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"uid": n.UID, "resourceVersion": n.ResourceVersion, "annotations": map[string]any{node.CordonAnnotation: mark}},
		"spec":     map[string]any{"unschedulable": unschedulable},
	}
}

// change patches the Node as it is now. A change that comes to nothing is none.
func (c *Client) change(ctx context.Context, what string, change func(*corev1.Node) (map[string]any, error)) error {
	v := c.current()
	if v.node() == nil {
		return fmt.Errorf("%s this node: %w", what, cluster.ErrUnknownNode)
	}
	nodes := v.api.CoreV1().Nodes()
	err := conflict.RetryOnConflict(conflict.DefaultRetry, func() error {
		n, err := nodes.Get(ctx, v.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		patch, err := change(n)
		if err != nil || patch == nil {
			c.remember(n)
			return err
		}
		document, err := json.Marshal(patch)
		if err != nil {
			return err
		}
		answer, err := nodes.Patch(ctx, n.Name, types.StrategicMergePatchType, document, metav1.PatchOptions{FieldManager: fieldManager})
		if err == nil {
			c.remember(answer)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s node %s: %w", what, v.name, err)
	}
	return nil
}

// Evict asks for every pod once. A disruption budget that forbids one does not keep the others.
func (c *Client) Evict(ctx context.Context) error {
	c.draining.Store(true)
	v := c.current()
	if v.api == nil {
		return cluster.ErrUnknownNode
	}
	var refused []error
	for _, p := range evictable(v.podsSeen()) {
		if ending(p) {
			continue
		}
		err := evict(ctx, v.api, p)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			refused = append(refused, fmt.Errorf("evicting pod %s/%s: %w", p.Namespace, p.Name, err))
		}
	}
	switch len(refused) {
	case 0:
		return nil
	case 1:
		return refused[0]
	default:
		return fmt.Errorf("%w, and so are %d other pods", refused[0], len(refused)-1)
	}
}

// evict does what Evictions().Evict does, except for its retries: the API server asks for one after
// 10 s while a disruption budget has not been counted yet, and client-go would spend 100 s on a pod
// before anything is reported.
func evict(ctx context.Context, api kubernetes.Interface, p *corev1.Pod) error {
	eviction := &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(p.UID))},
	}
	return api.PolicyV1().RESTClient().Post().AbsPath("/api/v1").Namespace(p.Namespace).Resource("pods").Name(p.Name).
		SubResource("eviction").MaxRetries(0).Body(eviction).Do(ctx).Error()
}

// Vacant asks after the longest time that a scheduler takes to see a cordon: kubelets run what is
// bound to a Node that is unschedulable.
func (c *Client) Vacant(ctx context.Context) error {
	c.draining.Store(true)
	v := c.current()
	if v.api == nil {
		return cluster.ErrUnknownNode
	}
	select {
	case <-time.After(c.binding):
	case <-ctx.Done():
		return ctx.Err()
	}
	// Without a version the API server answers from etcd, not from its cache.
	bound, err := v.api.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: v.ownPods().String()})
	if err != nil {
		return fmt.Errorf("asking for the pods of node %s: %w", v.name, err)
	}
	var pods []*corev1.Pod
	for i := range bound.Items {
		pods = append(pods, &bound.Items[i])
	}
	if left := evictable(pods); len(left) > 0 {
		return fmt.Errorf("pod %s/%s runs here and is evicted first (%d in all)", left[0].Namespace, left[0].Name, len(left))
	}
	return nil
}

// podsSeen are all pods of the node as the watch has them.
func (v view) podsSeen() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, o := range v.pods.store.List() {
		if p, ok := o.(*corev1.Pod); ok {
			pods = append(pods, p)
		}
	}
	return pods
}

// evictable returns those of a node's pods that a reboot must not end unasked, in the order of
// their names, also those that are ending. What DaemonSets and files on the host keep here would
// come back at once.
func evictable(pods []*corev1.Pod) []*corev1.Pod {
	pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return ended(p) || stays(p) })
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	return pods
}

func ending(p *corev1.Pod) bool { return p.DeletionTimestamp != nil }

func stays(p *corev1.Pod) bool {
	_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
	owner := metav1.GetControllerOf(p)
	return mirror || owner != nil && owner.Kind == "DaemonSet" && strings.HasPrefix(owner.APIVersion, "apps/")
}

// names are those of the pods that are ending, or of the others.
func names(pods []*corev1.Pod, going bool) []string {
	var out []string
	for _, p := range pods {
		if ending(p) == going {
			out = append(out, p.Namespace+"/"+p.Name)
		}
	}
	return out
}
