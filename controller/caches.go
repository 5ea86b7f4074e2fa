// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/api/node"
	v1 "github.com/kata-node/kata-node/api/v1"
	"github.com/kata-node/kata-node/controller/apply"
	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/facts"
	"github.com/kata-node/kata-node/controller/policy"
	"github.com/kata-node/kata-node/controller/view"
)

// caches are the informers, and this instance's picture of what they have.
type caches struct {
	nodes, configs, classes, policies, bindings cache.SharedIndexInformer
	// catalogs has the ConfigMap with the catalogue, and version the cluster's version; nil where
	// there is none to watch. A version that cannot be read holds nothing up.
	catalogs, version cache.SharedIndexInformer

	// account is this controller's user name.
	account string

	changes changes

	// view, book and catalogue belong to the one goroutine that takes passes. While it waits for
	// writes of Nodes, each of these holds writing to take its result into the view.
	writing   sync.Mutex
	view      view.Nodes
	book      book
	catalogue catalogue
}

func newCaches(kube kubernetes.Interface, configs cache.SharedIndexInformer, account, namespace string) (*caches, error) {
	factory := informers.NewSharedInformerFactory(kube, 0)
	c := &caches{
		classes:  factory.Node().V1().RuntimeClasses().Informer(),
		configs:  configs,
		policies: factory.Admissionregistration().V1().ValidatingAdmissionPolicies().Informer(),
		account:  account,
		bindings: factory.Admissionregistration().V1().ValidatingAdmissionPolicyBindings().Informer(),
	}
	var err error
	if c.nodes, err = watchNodes(kube); err != nil {
		return nil, err
	}
	c.book.informer, err = watchLedger(kube, namespace)
	return c, err
}

// start fills the caches, and returns when they have everything: on half a cluster, any decision is
// wrong.
func (c *caches) start(ctx context.Context, handler cache.ResourceEventHandler) error {
	var synced []cache.InformerSynced
	watched := []cache.SharedIndexInformer{c.nodes, c.configs, c.classes, c.policies, c.bindings, c.book.informer}
	if c.catalogs != nil {
		watched = append(watched, c.catalogs)
	}
	if c.version != nil {
		if _, err := c.version.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watching the cluster: %w", err)
		}
		go c.version.RunWithContext(ctx)
	}
	for _, informer := range watched {
		heard := handler
		if informer == c.nodes {
			heard = c.changes.noting(handler)
		}
		registration, err := informer.AddEventHandler(heard)
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

// wrote takes a Node into the view as it was written. Writes of one pass may call it at once.
func (c *caches) wrote(n *corev1.Node) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.view.Wrote(n)
}

// read returns everything but the Nodes.
func (c *caches) read() decide.Seen {
	out := decide.Seen{Unreadable: map[types.UID]error{}}
	for _, object := range c.configs.GetStore().List() {
		switch kc := object.(type) {
		case *v1.KataConfig:
			out.Configs = append(out.Configs, kc)
		case *apply.Unreadable:
			out.Configs = append(out.Configs, &v1.KataConfig{ObjectMeta: kc.ObjectMeta})
			out.Unreadable[kc.UID] = kc.Problem
		}
	}
	out.Ledger = c.book.read()
	out.PolicyProblem = policy.Problem(
		all[*admissionv1.ValidatingAdmissionPolicy](c.policies), all[*admissionv1.ValidatingAdmissionPolicyBinding](c.bindings), c.account)
	for _, class := range all[*nodev1.RuntimeClass](c.classes) {
		if class.Name == node.RuntimeClass {
			out.RuntimeClass = class
			continue
		}
		out.OtherClasses = append(out.OtherClasses, class)
	}
	c.readCatalogue(&out)
	return out
}

func (c *caches) readCatalogue(out *decide.Seen) {
	if c.catalogs == nil {
		return
	}
	var present *corev1.ConfigMap
	for _, m := range all[*corev1.ConfigMap](c.catalogs) {
		present = m
	}
	c.catalogue.read(present)
	out.Catalog, out.CatalogProblem = c.catalogue.good, c.catalogue.problem
	out.Desired = desired(c.version)
}

// all returns what an informer has.
func all[T any](informer cache.SharedIndexInformer) []T {
	objects := informer.GetStore().List()
	typed := make([]T, 0, len(objects))
	for _, object := range objects {
		if t, ok := object.(T); ok {
			typed = append(typed, t)
		}
	}
	return typed
}

// orders is true for a KataConfig that wants something else than before.
func orders(before, after any) bool {
	old, was := before.(*v1.KataConfig)
	kc, is := after.(*v1.KataConfig)
	return was && is && kc.Generation != old.Generation
}

// heartbeat is true for a new version of a Node, or of the cluster's version, that says nothing
// new.
func heartbeat(before, after any) bool {
	if _, isVersion := after.(*unstructured.Unstructured); isVersion {
		return desiredVersion(before) == desiredVersion(after)
	}
	old, isNode := before.(*facts.Node)
	n, stillNode := after.(*facts.Node)
	if !isNode || !stillNode {
		return false
	}
	return n.Renews(old)
}
