// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kata-node/kata-node/controller/decide"
	"github.com/kata-node/kata-node/controller/ledger"
)

// book is this instance's picture of the ledger: what its cache has, and what it wrote that the
// cache does not have yet. It is for the one goroutine that takes passes.
type book struct {
	informer cache.SharedIndexInformer
	written  *corev1.ConfigMap
	// ahead is true from when this instance has made the object, or read it from the API server,
	// until the cache has seen one.
	ahead bool
}

func watchLedger(kube kubernetes.Interface, namespace string) (cache.SharedIndexInformer, error) {
	informer := oneConfigMap(kube, namespace, ledger.Name)
	if err := informer.SetTransform(trimLedger); err != nil {
		return nil, fmt.Errorf("watching the ledger: %w", err)
	}
	return informer, nil
}

func trimLedger(object any) (any, error) {
	m, ok := object.(*corev1.ConfigMap)
	if !ok {
		return object, nil
	}
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion}, Data: m.Data}, nil
}

// read returns the newest ledger that is known.
func (b *book) read() ledger.Ledger {
	var newest *corev1.ConfigMap
	for _, m := range all[*corev1.ConfigMap](b.informer) {
		newest = m
	}
	switch {
	case b.written == nil:
	case newest == nil && b.ahead:
		return ledger.Of(b.written) // The cache does not have it yet.
	case newest != nil:
		b.ahead = false
		if order, err := resourceversion.CompareResourceVersion(b.written.ResourceVersion, newest.ResourceVersion); err == nil && order > 0 {
			return ledger.Of(b.written)
		}
	}
	return ledger.Of(newest)
}

// enter writes the ledger where it is to be changed, and restores one that is lost. It reports
// whether what is entered in it may be carried out.
func (c *Controller) enter(ctx context.Context, d decide.Decision) (bool, error) {
	if d.Ledger == nil && !d.RestoreLedger {
		return true, nil
	}
	book := &c.caches.book
	var written *corev1.ConfigMap
	var err error
	if d.RestoreLedger {
		written, err = c.writer.RestoreLedger(ctx)
		if book.ahead = err == nil; book.ahead {
			c.queue.Add(key) // The next pass gives what waits for it.
		}
	} else {
		written, err = c.writer.Ledger(ctx, *d.Ledger)
	}
	c.settings.Health.Steps(c.settings.Now())
	switch {
	case err == nil:
		book.written = written
	case outdated(err):
		book.written, book.ahead = nil, false
	}
	return err == nil, err
}
