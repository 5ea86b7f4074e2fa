// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/api/node"
)

// view is the state of two watches that share one reading of the credential. They keep what they saw while the API server is away.
type view struct {
	api        kubernetes.Interface
	name       string
	nodes      watched
	pods       watched
	controller []cache.Controller
}

type watched struct {
	store  cache.Store
	synced func() bool
}

func newView(api kubernetes.Interface, name string, changed func()) view {
	v := view{api: api, name: name}
	v.nodes = v.watch("nodes", "metadata.name", &corev1.Node{}, unless(sameNode, changed))
	v.pods = v.watch("pods", "spec.nodeName", &corev1.Pod{}, unless(samePod, changed))
	return v
}

// unless tells of changes that matter: kubelets write heartbeats and pod status all the time, and each look at the host costs something.
func unless(same func(before, after any) bool, changed func()) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed() },
		DeleteFunc: func(any) { changed() },
		UpdateFunc: func(before, after any) {
			if !same(before, after) {
				changed()
			}
		},
	}
}

// sameNode compares what the agent reads of its Node, its own report and condition included: somebody may have taken them away.
func sameNode(before, after any) bool {
	a, okA := before.(*corev1.Node)
	b, okB := after.(*corev1.Node)
	return okA && okB && maps.Equal(a.Annotations, b.Annotations) && a.Labels[node.ReadyLabel] == b.Labels[node.ReadyLabel] && same(a.Status.Conditions, conditionOf(b.Status.Conditions))
}

func samePod(before, after any) bool {
	a, okA := before.(*corev1.Pod)
	b, okB := after.(*corev1.Pod)
	return okA && okB && isKata(a) == isKata(b)
}

// watch is scoped by a field that the Node authorizer insists on.
func (v *view) watch(resource, field string, object runtime.Object, handler cache.ResourceEventHandler) watched {
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(v.api.CoreV1().RESTClient(), resource, corev1.NamespaceAll, fields.OneTermEqualSelector(field, v.name)),
		ObjectType:    object,
		Handler:       handler,
	})
	v.controller = append(v.controller, controller)
	return watched{store: store, synced: controller.HasSynced}
}

func (v view) run(ctx context.Context) {
	var group wait.Group
	for _, c := range v.controller {
		group.StartWithContext(ctx, c.RunWithContext)
	}
	group.Wait()
}

func (v view) synced() bool {
	return v.api != nil && v.nodes.synced() && v.pods.synced()
}

// node returns the Node, or nil while it is unknown or gone.
func (v view) node() *corev1.Node {
	if v.api == nil || !v.nodes.synced() {
		return nil
	}
	for _, o := range v.nodes.store.List() {
		if n, ok := o.(*corev1.Node); ok {
			return n
		}
	}
	return nil
}

// bound returns the kata pods of this node, as namespace/name, sorted, and whether they are known.
func (v view) bound() ([]string, bool) {
	if v.api == nil || !v.pods.synced() {
		return nil, false
	}
	var names []string
	for _, o := range v.pods.store.List() {
		if p, ok := o.(*corev1.Pod); ok && isKata(p) {
			names = append(names, p.Namespace+"/"+p.Name)
		}
	}
	slices.Sort(names)
	return names, true
}
