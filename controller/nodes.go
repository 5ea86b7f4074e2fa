// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/controller/facts"
)

// nodesPerPage is how many whole Nodes of a list are in memory at once.
const nodesPerPage = 100

// watchNodes returns an informer whose store has *facts.Node. An API server that streams lists
// sends one Node after the other. Another one is asked for pages, which it reads from etcd: a list
// from its cache would come in one piece, with everything that the kubelets say of their images.
func watchNodes(kube kubernetes.Interface) (cache.SharedIndexInformer, error) {
	client := kube.CoreV1().Nodes()
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.Continue == "" {
				options.ResourceVersion, options.ResourceVersionMatch = "", ""
			}
			if options.Limit > nodesPerPage {
				options.Limit = nodesPerPage
			}
			page, err := client.List(ctx, options)
			if err != nil {
				return nil, err
			}
			for i := range page.Items {
				page.Items[i] = *facts.Trim(&page.Items[i])
			}
			return page, nil
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, options)
		},
	}, kube)
	informer := cache.NewSharedIndexInformer(source, &corev1.Node{}, 0, cache.Indexers{})
	var shared facts.Strings
	err := informer.SetTransform(func(object any) (any, error) {
		n, ok := object.(*corev1.Node)
		if !ok {
			return object, nil
		}
		out := facts.OfNode(n)
		shared.Share(&out)
		if before, found, err := informer.GetStore().GetByKey(n.Name); err == nil && found {
			if b, ok := before.(*facts.Node); ok {
				out.Reuse(b)
			}
		}
		return &out, nil
	})
	if err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	return informer, nil
}
