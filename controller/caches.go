// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/apply"
	"github.com/kata-node/kata-node/controller/facts"
)

// caches are the informers, and what this instance wrote that they have not seen yet:
// without it, a pass could spend the same unavailability twice.
type caches struct {
	nodes, configs, classes cache.SharedIndexInformer

	mu      sync.Mutex
	written map[string]*corev1.Node
	// known are the facts of the last pass: only what changed is read again.
	known map[string]facts.Node
}

func newCaches(kube kubernetes.Interface, configs cache.SharedIndexInformer) (*caches, error) {
	factory := informers.NewSharedInformerFactory(kube, 0)
	c := &caches{
		nodes:   factory.Core().V1().Nodes().Informer(),
		classes: factory.Node().V1().RuntimeClasses().Informer(),
		configs: configs,
		written: map[string]*corev1.Node{},
	}
	if err := c.nodes.SetTransform(trim); err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	return c, nil
}

func trim(object any) (any, error) {
	if n, ok := object.(*corev1.Node); ok {
		return facts.Trim(n), nil
	}
	return object, nil
}

// start fills the caches, and returns when they have everything: on half a cluster, any decision is
// wrong.
func (c *caches) start(ctx context.Context, handler cache.ResourceEventHandler) error {
	var synced []cache.InformerSynced
	for _, informer := range []cache.SharedIndexInformer{c.nodes, c.configs, c.classes} {
		registration, err := informer.AddEventHandler(handler)
		if err != nil {
			return fmt.Errorf("watching the cluster: %w", err)
		}
		synced = append(synced, registration.HasSynced)
		go informer.RunWithContext(ctx)
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return errors.New("watching the cluster: stopped before everything was read")
	}
	return nil
}

func (c *caches) read(now time.Time) (seen, error) {
	out := seen{unreadable: map[types.UID]error{}}
	for _, object := range c.configs.GetStore().List() {
		switch kc := object.(type) {
		case *v1.KataConfig:
			out.configs = append(out.configs, kc)
		case *apply.Unreadable:
			out.configs = append(out.configs, &v1.KataConfig{ObjectMeta: kc.ObjectMeta})
			out.unreadable[kc.UID] = kc.Problem
		}
	}
	out.nodes = c.readNodes(now)
	object, found, err := c.classes.GetStore().GetByKey(node.RuntimeClass)
	if err != nil {
		return seen{}, fmt.Errorf("reading RuntimeClass from the cache: %w", err)
	}
	if class, ok := object.(*nodev1.RuntimeClass); found && ok {
		out.runtimeClass = class
	}
	return out, nil
}

func (c *caches) readNodes(now time.Time) []facts.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	objects := c.nodes.GetStore().List()
	nodes, known := make([]facts.Node, 0, len(objects)), make(map[string]facts.Node, len(objects))
	for _, object := range objects {
		cached, ok := object.(*corev1.Node)
		if !ok {
			continue
		}
		newest := c.newest(cached)
		n, found := c.known[newest.Name]
		if !found || n.UID != string(newest.UID) || n.ResourceVersion != newest.ResourceVersion {
			before := n
			n = facts.OfNode(newest)
			n.StaleSince, n.Since = staleSince(before, n, now), unchangedSince(before, n, now)
		}
		known[n.Name] = n
		nodes = append(nodes, n)
	}
	c.known = known
	return nodes
}

// staleSince uses the controller's clock, so the clocks of nodes do not matter.
func staleSince(before, n facts.Node, now time.Time) time.Time {
	switch {
	case n.SameBoot():
		return time.Time{}
	case !before.StaleSince.IsZero() && before.UID == n.UID && before.BootID == n.BootID:
		return before.StaleSince
	default:
		return now
	}
}

// unchangedSince uses the controller's clock, too. Its own restart begins anew, which only prolongs
// deadlines.
func unchangedSince(before, n facts.Node, now time.Time) time.Time {
	same := before.UID == n.UID && before.Ready == n.Ready && before.BootID == n.BootID && before.ReportProblem == n.ReportProblem &&
		reflect.DeepEqual(before.Intent, n.Intent) && reflect.DeepEqual(before.Report, n.Report)
	if same && !before.Since.IsZero() {
		return before.Since
	}
	return now
}

// heartbeat is true for a new version of a Node that says nothing new.
func heartbeat(before, after any) bool {
	old, isNode := before.(*corev1.Node)
	n, stillNode := after.(*corev1.Node)
	if !isNode || !stillNode {
		return false
	}
	same := *old
	same.ResourceVersion = n.ResourceVersion
	return equality.Semantic.DeepEqual(&same, n)
}

// wrote remembers a Node that this instance has written.
func (c *caches) wrote(n *corev1.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written[n.Name] = facts.Trim(n)
}

// newest returns the cached Node, or what this instance wrote after it, and forgets the latter once
// the cache has caught up.
func (c *caches) newest(cached *corev1.Node) *corev1.Node {
	written, found := c.written[cached.Name]
	if !found {
		return cached
	}
	order, err := resourceversion.CompareResourceVersion(written.ResourceVersion, cached.ResourceVersion)
	if err == nil && order > 0 && written.UID == cached.UID {
		return written
	}
	delete(c.written, cached.Name)
	return cached
}
