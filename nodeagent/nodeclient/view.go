// SPDX-License-Identifier: Apache-2.0

package nodeclient

import (
	"context"
	"errors"
	"maps"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/api/node"
)

var errEnded = errors.New("the watch has ended")

// view is the state of three watches that share one reading of the credential. They keep what they
// saw while the API server is away.
type view struct {
	api        kubernetes.Interface
	name       string
	nodes      watched
	pods       watched
	classes    watched
	controller []cache.Controller
}

type watched struct {
	store  cache.Store
	synced func() bool
	health *health
}

func newView(api kubernetes.Interface, name string, draining func() bool, changed func()) view {
	v := view{api: api, name: name}
	core, own := api.CoreV1().RESTClient(), fields.OneTermEqualSelector
	v.nodes = v.watch(core, "nodes", own("metadata.name", name), &corev1.Node{}, unless(sameNode, changed), changed)
	pods := cache.FilteringResourceEventHandler{FilterFunc: func(o any) bool { return draining() || counts(o) }, Handler: unless(samePod, changed)}
	v.pods = v.watch(core, "pods", v.ownPods(), &corev1.Pod{}, pods, changed)
	v.classes = v.watch(api.NodeV1().RESTClient(), "runtimeclasses", fields.Everything(), &nodev1.RuntimeClass{}, unless(sameHandler, changed), changed)
	return v
}

// ownPods is the scope of pods that the Node authorizer lets a node ask for.
func (v view) ownPods() fields.Selector { return fields.OneTermEqualSelector("spec.nodeName", v.name) }

// unless tells of changes that matter: kubelets write heartbeats and pod status all the time, and
// each look at the host costs something.
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

// sameNode compares what the agent reads of its Node, its own report and condition included:
// another user may have removed them.
func sameNode(before, after any) bool {
	a, okA := before.(*corev1.Node)
	b, okB := after.(*corev1.Node)
	return okA && okB && maps.Equal(a.Annotations, b.Annotations) && a.Labels[node.ReadyLabel] == b.Labels[node.ReadyLabel] && same(a.Status.Conditions, conditionOf(b.Status.Conditions)) &&
		a.Spec.Unschedulable == b.Spec.Unschedulable && sameKubelet(a, b)
}

func samePod(before, after any) bool {
	a, okA := before.(*corev1.Pod)
	b, okB := after.(*corev1.Pod)
	return okA && okB && a.UID == b.UID
}

// watch of nodes and pods is scoped by a field that the Node authorizer insists on.
func (v *view) watch(client cache.Getter, resource string, scope fields.Selector, object runtime.Object, handler cache.ResourceEventHandler, changed func()) watched {
	h := &health{changed: changed}
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: h.observed(cache.NewListWatchFromClient(client, resource, corev1.NamespaceAll, scope)),
		ObjectType:    object,
		Handler:       handler,
	})
	v.controller = append(v.controller, controller)
	return watched{store: store, synced: controller.HasSynced, health: h}
}

func (v view) run(ctx context.Context) {
	var group wait.Group
	for _, c := range v.controller {
		group.StartWithContext(ctx, c.RunWithContext)
	}
	group.Wait()
}

// alive is whether the API server answers all watches.
func (v view) alive() bool {
	return !v.nodes.health.failed.Load() && !v.pods.health.failed.Load() && !v.classes.health.failed.Load()
}

// ended notes that the watches do not run any more: what they saw stays, and is no news.
func (v view) ended() {
	for _, w := range []watched{v.nodes, v.pods, v.classes} {
		w.health.note(errEnded)
	}
}

func (v view) synced() bool {
	return v.api != nil && v.nodes.synced() && v.pods.synced()
}

// node returns the Node, or nil while it is unknown or deleted.
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
