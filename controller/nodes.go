// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	client, reader := kube.CoreV1().Nodes(), &nodeReader{}
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
			return reader.page(page), nil
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, options)
		},
	}, kube)
	informer := cache.NewSharedIndexInformer(source, &corev1.Node{}, 0, cache.Indexers{})
	reader.store = informer.GetStore()
	if err := informer.SetTransform(reader.transform); err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	return informer, nil
}

// nodeReader reads Nodes for a store, and lets them share what they have in common.
type nodeReader struct {
	store  cache.Store
	shared facts.Strings
}

func (r *nodeReader) read(n *corev1.Node) *facts.Node {
	out := facts.OfNode(n)
	r.shared.Share(&out)
	if before, found, err := r.store.GetByKey(n.Name); err == nil && found {
		if b, ok := before.(*facts.Node); ok {
			out.Reuse(b)
		}
	}
	return &out
}

// listed is a Node of a list in pages. All pages are in memory before the store has any of them, so
// that each is read at once.
type listed struct{ *facts.Node }

func (listed) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

func (l listed) DeepCopyObject() runtime.Object { return l }

func (r *nodeReader) page(page *corev1.NodeList) runtime.Object {
	list := &metainternalversion.List{ListMeta: page.ListMeta, Items: make([]runtime.Object, 0, len(page.Items))}
	for i := range page.Items {
		list.Items = append(list.Items, listed{r.read(&page.Items[i])})
	}
	return list
}

// transform returns what the store has of an object.
func (r *nodeReader) transform(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Node:
		return r.read(o), nil
	case listed:
		return o.Node, nil
	default:
		return object, nil
	}
}
